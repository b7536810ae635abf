/* One panel of a report's charts: a frame of uPlot's, and what is told of the point under a pointer
   or chosen by keys. Names are text only, never markup. */
"use strict";
const plotting = (() => {
  const DASHES = { "-": [], "--": [7, 4], ":": [2, 3], "-.": [7, 3, 2, 3] };
  const NEAR = 14, ROWS = 8;

  const make = (tag, name, text) => {
    const out = document.createElement(tag);
    if (name) out.className = name;
    if (text !== undefined) out.textContent = text;
    return out;
  };
  const digits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 5 });
  const said = (v) => v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e7)
    ? v.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e") : digits.format(v);
  const swatch = (colour, dashes) => {
    const ns = "http://www.w3.org/2000/svg", out = document.createElementNS(ns, "svg");
    const line = document.createElementNS(ns, "line");
    const set = (e, all) => Object.entries(all).forEach(([k, v]) => e.setAttribute(k, v));
    set(out, { width: 22, height: 10, "aria-hidden": "true" });
    set(line, { x1: 1, x2: 21, y1: 5, y2: 5, stroke: colour, "stroke-width": 2.5,
      "stroke-dasharray": (DASHES[dashes] || []).join(" ") });
    out.append(line);
    return out;
  };

  /* Ticks of a logarithmic axis: powers of ten; 2 and 5 times them where those are few. */
  const decades = (low, high) => {
    const out = [], few = Math.log10(high / low) < 3;
    for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++)
      out.push(...(few ? [1, 2, 5] : [1]).map((m) => +`${m}e${k}`));
    const there = out.filter((v) => v >= low && v <= high), every = Math.ceil(there.length / 7);
    return there.filter((v, i) => i % every === 0);
  };

  class Plot {
    constructor(chart, panel) {
      Object.assign(this, { chart, panel, at: null, u: null });
      this.root = make("div", "plot");
      this.hint = make("div", "hint");
      this.dot = make("div", "dot");
      this.hint.hidden = this.dot.hidden = true;
      this.frame = make("div", "frame");
      this.frame.tabIndex = 0;
      this.frame.setAttribute("role", "application");
      this.frame.setAttribute("aria-label", `${panel.name}, a chart. Left and right: along a curve;`
        + " up and down: another curve; plus and minus: zoom; 0: all.");
      this.frame.addEventListener("keydown", (e) => this.key(e));
      this.frame.addEventListener("blur", () => this.tell(null));
      this.live = make("div", "unseen");
      this.live.setAttribute("aria-live", "polite");
      this.root.append(make("div", "name", panel.name), this.frame, this.live);
    }

    get axis() {
      return this.panel.axes.find((a) => a.key === this.chart.axis) || this.panel.axes[0];
    }

    draw() {
      const { key } = this.axis, { panel } = this, band = panel.bands[key];
      this.tell(null);
      this.lines = panel.lines.filter((l) => !l.player || this.chart.ticked.has(l.player))
        .map((l) => ({ ...l, x: panel.places[l.at[key]], y: l.values }));
      const tables = this.lines.map((l) => [l.x, l.y]);
      const series = [{}, ...this.lines.map((l) => ({
        stroke: l.colour, width: l.width + .4, dash: DASHES[l.dashes],
        points: { size: 4, fill: l.colour },
      }))];
      const bands = [];
      if (band) {
        const first = series.length, [low, from, middle, to, high] = band.quantiles;
        [low, from, to, high].forEach((q) => tables.unshift([band.at, q]));
        const edge = { stroke: "transparent", width: 0, points: { show: false } };
        // beneath the curves: drawn first
        series.splice(1, 0, edge, edge, edge, edge);
        const fill = ([colour, covers]) => colour + Math.round(255 * covers).toString(16);
        bands.push({ series: [1, 4], fill: fill(band.all) });
        bands.push({ series: [2, 3], fill: fill(band.half) });
        this.lines.push({ label: "median of pairs", colour: band.median, dashes: "-.", x: band.at,
          y: middle });
        tables.push([band.at, middle]);
        series.push({ stroke: band.median, width: 1.8, dash: DASHES["-."],
          points: { show: false } });
      }
      const places = [...panel.lines.map((l) => panel.places[l.at[key]]), band ? band.at : []];
      const low = places.reduce((a, p) => p.reduce((b, v) => Math.min(b, v), a), Infinity);
      const high = places.reduce((a, p) => p.reduce((b, v) => Math.max(b, v), a), -Infinity);
      const pad = (high - low) * .015 || 1;
      this.all = low <= high ? [low - pad, high + pad] : [0, 1];
      if (this.u) this.u.destroy();
      const data = tables.length ? uPlot.join(tables) : [[]];
      this.u = new uPlot(this.options(series, bands), data, this.frame);
      this.u.over.append(this.dot, this.hint);
    }

    options(series, bands) {
      const grid = { stroke: "#e6e6e6", width: 1 }, font = "11px system-ui, sans-serif";
      const shared = { stroke: "#444444", grid, ticks: { ...grid, size: 5 }, font };
      const { log } = this.panel;
      const marks = (how) => (u, all) => all.map((v) => v === null ? "" : how(v));
      return {
        width: Math.max(200, this.frame.clientWidth), height: this.chart.high, series, bands,
        legend: { show: false }, padding: [8, 24, 0, 0],
        scales: {
          x: { time: false, range: () => this.chart.zoomed || this.all },
          y: { distr: log ? 3 : 1, range: (u, a, b) => this.range(a, b) },
        },
        axes: [
          { ...shared, label: this.axis.name, labelSize: 16, labelFont: font, size: 26, gap: 3,
            space: 60, values: marks((v) => digits.format(v)) },
          { ...shared, space: 28, gap: 3, values: marks(said),
            ...(log ? { splits: (u, i, a, b) => decades(a, b), filter: (u, v) => v } : {}),
            size: (u, all) => 14 + 6.4 * Math.max(3, ...(all || []).map((v) => v.length)) },
        ],
        cursor: {
          points: { show: false }, y: false, drag: { x: true, y: false, setScale: false },
          bind: { dblclick: () => () => this.chart.zoom(null) },
        },
        hooks: {
          setCursor: [(u) => this.tell(u.cursor.left < 0 ? null : this.nearest(u.cursor))],
          setSelect: [(u) => {
            const { left, width } = u.select;
            if (width < 4) return;
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            this.chart.zoom([u.posToVal(left, "x"), u.posToVal(left + width, "x")]);
          }],
          drawAxes: [(u) => this.levels(u)],
        },
      };
    }

    // Levels belong to the whole: what is zoomed into is not pressed flat by them.
    range(a, b) {
      const { log, levels, zero } = this.panel;
      const all = [a, b, ...(this.chart.zoomed ? [] : levels.map((l) => l.value))]
        .filter((v) => Number.isFinite(v) && (!log || v > 0));
      const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [log ? .1 : 0, 1];
      if (log) {
        const more = Math.max(1.1, (high / low) ** .06);
        return [low / more, high * more];
      }
      const pad = (high - low) * .06 || Math.abs(high) * .1 || .5;
      return [zero ? Math.min(0, low) : low - pad, high + pad];
    }

    levels(u) {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const level of this.panel.levels) {
        const y = u.valToPos(level.value, "y", true);
        ctx.beginPath();
        ctx.strokeStyle = level.colour;
        ctx.lineWidth = 1.2 * devicePixelRatio;
        ctx.setLineDash((DASHES[level.dashes] || []).map((d) => d * devicePixelRatio));
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      }
      ctx.restore();
    }

    /* Of each curve the point nearest in x; of those that are there the nearest in y first. */
    nearest({ left, top }) {
      const found = [], { min, max } = this.u.scales.x;
      this.lines.forEach((line, k) => {
        let best = null;
        line.x.forEach((x, i) => {
          if (line.y[i] === null || x < min || x > max) return;
          const off = Math.abs(this.u.valToPos(x, "x") - left);
          if (!best || off < best.off) best = { line, k, i, off };
        });
        if (best) found.push(best);
      });
      found.forEach((f) => {
        f.far = Math.abs(this.u.valToPos(f.line.y[f.i], "y") - top);
      });
      const least = Math.min(...found.map((f) => f.off));
      return found.filter((f) => f.off <= least + NEAR).sort((a, b) => a.far - b.far);
    }

    tell(found) {
      this.hint.hidden = this.dot.hidden = !found || !found.length;
      if (this.hint.hidden) return "";
      this.at = found[0];
      const { line, i } = this.at, x = line.x[i], left = this.u.valToPos(x, "x");
      const top = this.u.valToPos(line.y[i], "y"), wide = this.u.over.clientWidth;
      this.hint.replaceChildren(make("b", "", `${this.axis.name} ${said(x)}`));
      const row = (who, dashes, text) => {
        const out = make("div");
        out.append(swatch(who, dashes), make("span", "", text));
        this.hint.append(out);
        return out;
      };
      found.slice(0, ROWS).forEach((f, n) => {
        const where = f.line.x[f.i] === x ? "" : ` at ${said(f.line.x[f.i])}`;
        row(f.line.colour, f.line.dashes, `${f.line.label} ${said(f.line.y[f.i])}${where}`)
          .className = n ? "" : "first";
      });
      if (found.length > ROWS) this.hint.append(make("div", "", `and ${found.length - ROWS} more`));
      this.panel.levels.forEach((l) => row(l.colour, l.dashes, `${l.label} ${said(l.value)}`));
      this.dot.style.cssText = `left: ${left}px; top: ${top}px`;
      this.dot.style.background = line.colour;
      const room = this.hint.offsetWidth + 14, right = left + room < wide;
      this.hint.style.left = `${right ? left + 14 : Math.max(-40, left - room)}px`;
      this.hint.style.top = "4px";
      return `${line.label}, ${this.axis.name} ${said(x)}: ${said(line.y[i])}`;
    }

    key(event) {
      const end = this.lines.length - 1;
      const old = this.at && this.at.k <= end ? this.at : { k: 0, i: -1 };
      const ways = {
        ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
      };
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key in ways && end >= 0) {
        const [other, along] = ways[event.key], k = (old.k + other + end + 1) % (end + 1);
        const line = this.lines[k], x = other ? this.lines[old.k].x[Math.max(0, old.i)] : 0;
        let i = other ? line.x.findIndex((v) => v >= x) : old.i + along;
        while (i >= 0 && i < line.y.length && line.y[i] === null) i += along || 1;
        if (i >= 0 && i < line.y.length) this.live.textContent = this.tell([{ line, k, i }]);
      } else if (event.key === "+" || event.key === "=") this.chart.closer(.5);
      else if (event.key === "-") this.chart.closer(2);
      else if (event.key === "0" || event.key === "Escape") this.chart.zoom(null);
      else return;
      event.preventDefault();
    }
  }

  return { Plot, make, swatch };
})();
