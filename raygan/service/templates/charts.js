/* The curves of a report: what is zoomed together, and one filter by player for all of them. Drawn
   from the JSON beside it; where that fails the pictures stay. */
"use strict";
(() => {
  const { Plot, make, swatch } = plotting;
  const told = JSON.parse(document.getElementById("chart-data").textContent);
  const filter = document.getElementById("filter"), boxes = new Map();
  const ticked = new Set(told.players.filter((p) => p.named).map((p) => p.name));
  const charts = [];

  /* One picture: panels that are zoomed together. */
  class Chart {
    constructor(root, panels) {
      Object.assign(this, { root, zoomed: null, stale: true, axis: panels[0].axes[0].key, ticked });
      this.high = innerWidth < 640 ? 170 : 230;
      const tools = make("div", "tools"), plots = make("div", "plots");
      const button = (text, says, act) => {
        const out = make("button", "", text);
        out.type = "button";
        out.setAttribute("aria-label", says);
        out.title = says;
        out.addEventListener("click", act);
        tools.append(out);
        return out;
      };
      if (panels[0].axes.length > 1) {
        const label = make("label", "", "Against "), choice = make("select");
        panels[0].axes.forEach((a) => choice.append(new Option(a.name, a.key)));
        choice.addEventListener("change", () => {
          this.axis = choice.value;
          this.zoom(null);
          this.draw();
        });
        label.append(choice);
        tools.append(label);
      }
      button("+", "Zoom in", () => this.closer(.5));
      button("\u2212", "Zoom out", () => this.closer(2));
      this.back = button("Reset zoom", "Reset zoom", () => this.zoom(null));
      this.back.disabled = true;
      tools.append(make("span", "quiet", "Drag over a chart to zoom; double click: all."));
      plots.classList.toggle("alone", panels.length === 1);
      this.plots = panels.map((panel) => new Plot(this, panel));
      plots.append(...this.plots.map((p) => p.root));
      root.prepend(tools, plots, this.legend(panels));
      new ResizeObserver(() => this.resize()).observe(plots);
    }

    /* What is no player: bands and levels. */
    legend(panels) {
      const out = make("p", "key quiet"), seen = new Set();
      const add = (mark, text) => {
        if (seen.has(text)) return;
        seen.add(text);
        const one = make("span");
        one.append(mark, make("span", "", text));
        out.append(one, " ");
      };
      const block = ([colour, covers]) => {
        const mark = make("i");
        const tint = colour + Math.round(255 * covers).toString(16);
        mark.style.background = `linear-gradient(${tint}, ${tint}), #fff`;
        return mark;
      };
      panels.forEach((panel) => {
        [...panel.lines.filter((l) => !l.player), ...panel.levels]
          .forEach((l) => add(swatch(l.colour, l.dashes), l.label));
        Object.values(panel.bands).slice(0, 1).forEach((b) => {
          add(block(b.all), `all ${b.count} pairs, shown or not`);
          add(block(b.half), "their middle half");
          add(swatch(b.median, "-."), "median of pairs");
        });
      });
      out.hidden = !seen.size;
      return out;
    }

    draw() {
      this.stale = !this.root.offsetWidth;
      if (!this.stale) this.plots.forEach((p) => p.draw());
    }

    resize() {
      if (this.stale) this.draw();
      else if (this.root.offsetWidth) this.plots.forEach((p) => {
        p.tell(null);
        p.u.setSize({ width: Math.max(200, p.frame.clientWidth), height: this.high });
      });
    }

    zoom(range) {
      this.zoomed = range;
      this.back.disabled = !range;
      this.plots.forEach((p) => {
        const [min, max] = range || p.all || [0, 1];
        p.tell(null);
        if (p.u) p.u.setScale("x", { min, max });
      });
    }

    /* Around the point that was looked at last; else around the middle. */
    closer(factor) {
      const seen = this.plots.find((p) => p.at), [a, b] = this.zoomed || this.plots[0].all;
      const at = seen ? seen.at.line.x[seen.at.i] : (a + b) / 2, [low, high] = this.plots[0].all;
      const half = (b - a) * factor / 2, middle = at >= a && at <= b ? at : (a + b) / 2;
      const range = [Math.max(low, middle - half), Math.min(high, middle + half)];
      this.zoom(range[0] <= low && range[1] >= high ? null : range);
    }
  }

  // The filter.
  const word = filter.querySelector("input"), names = filter.querySelector("ul");
  const show = () => {
    boxes.forEach((box, name) => { box.checked = ticked.has(name); });
    filter.querySelector("output").textContent = `${ticked.size} of ${told.players.length} shown`;
    charts.forEach((c) => c.draw());
  };
  const set = (wanted) => {
    ticked.clear();
    told.players.filter(wanted).forEach((p) => ticked.add(p.name));
    show();
  };
  const search = () => {
    const parts = word.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const fits = (p) => parts.some((part) => p.label.toLowerCase().includes(part));
    told.players.forEach((p) => {
      boxes.get(p.name).closest("li").hidden = parts.length > 0 && !fits(p);
    });
    set(parts.length ? fits : (p) => p.named);
  };
  told.players.forEach((p) => {
    const item = make("li"), label = make("label"), box = make("input");
    box.type = "checkbox";
    box.addEventListener("change", () => {
      if (box.checked) ticked.add(p.name); else ticked.delete(p.name);
      show();
    });
    boxes.set(p.name, box);
    label.append(box, swatch(p.colour, p.dashes), make("span", "", p.label));
    item.append(label);
    names.append(item);
  });
  word.addEventListener("input", search);
  filter.querySelector("[data-do=all]").addEventListener("click", () => set(() => true));
  filter.querySelector("[data-do=none]").addEventListener("click", () => set(() => false));
  filter.querySelector("[data-do=first]").addEventListener("click", () => {
    word.value = "";
    search();
  });
  document.querySelectorAll("[data-chart]").forEach((root) => {
    charts.push(new Chart(root, told.charts[+root.dataset.chart]));
    root.closest(".drawable").classList.add("drawn");
  });
  filter.hidden = told.players.length === 0;
  show();
})();
