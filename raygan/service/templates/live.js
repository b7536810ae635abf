"use strict";
const byId = (id) => document.getElementById(id);
const EVERY_MS = 1000;
let chosen = null, shown = "", paused = false;

const COLUMNS = [
  ["pair", (p) => p.player], ["holds", (p) => p.holds === p.player ? "own D" : "D of " + p.holds],
  ["step", (p, s) => p.step + "/" + s.steps], ["it/s", (p) => number(p.rate, 0)],
  ["wait", (p) => p.wait === null ? "" : Math.round(100 * p.wait) + " %"],
  ["loss D", (p) => number(p.loss_d, 3)], ["loss G", (p) => number(p.loss_g, 3)],
  ["score", (p) => p.score || ""], ["lag", (p) => number(p.lag, 0)], ["state", (p) => p.state],
];

function number(value, digits) {
  return value === null || value === undefined ? "" : value.toFixed(digits);
}

function cell(kind, text) {
  const out = document.createElement(kind);
  out.textContent = text;
  return out;
}

function table(seen) {
  const head = document.createElement("tr");
  COLUMNS.forEach(([name]) => head.append(cell("th", name)));
  byId("players").tHead.replaceChildren(head);
  byId("players").tBodies[0].replaceChildren(...seen.players.map((player) => {
    const row = document.createElement("tr");
    row.dataset.player = player.player;
    if (player.main) row.className = "main";
    if (player.state === "retire" || player.state === "leave") row.className = "gone";
    COLUMNS.forEach(([, text]) => row.append(cell("td", text(player, seen))));
    return row;
  }));
}

function tabs(seen) {
  const names = seen.pictures.map((p) => p.key).join();
  if (byId("tabs").dataset.names !== names) {
    byId("tabs").dataset.names = names;
    byId("tabs").replaceChildren(...seen.pictures.map((p) => {
      const button = cell("button", p.title);
      button.type = "button";
      button.role = "tab";
      button.dataset.key = p.key;
      button.onclick = () => { chosen = p.key; picture(seen); };
      return button;
    }));
  }
  if (!seen.pictures.some((p) => p.key === chosen)) {
    chosen = seen.pictures.length ? seen.pictures[0].key : null;
  }
}

function picture(seen) {
  const now = seen.pictures.find((p) => p.key === chosen);
  byId("stage").hidden = !now;
  for (const button of byId("tabs").children) {
    button.ariaSelected = String(button.dataset.key === chosen);
  }
  if (!now) return;
  byId("title").textContent = now.title;
  byId("caption").textContent = now.note;
  byId("picture").alt = now.title + (now.note ? ": " + now.note : "");
  const address = "picture/" + now.key + ".png?v=" + seen.version;
  if (address !== shown) { shown = address; byId("picture").src = address; }
}

function events(seen) {
  byId("events").replaceChildren(...seen.events.slice().reverse().map((e) => {
    const { time, step, kind, ...rest } = e;
    const move = (m) => m.player + " takes " + (m.what === "pair" ? "D and G" : m.what)
      + " of " + m.identity;
    const text = kind === "swap" ? e.moves.map(move).join(", ")
      : kind === "warning" ? e.name + ": " + e.text
      : Object.entries(rest).map(([k, v]) => k + " " + JSON.stringify(v)).join(", ");
    const out = cell("li", new Date(1000 * time).toLocaleTimeString() + "  step " + step
      + "  " + kind + "  " + text.slice(0, 200));
    if (["death", "warning", "retire", "skip"].includes(kind)) out.className = "bad";
    return out;
  }));
}

function draw(seen) {
  document.title = Math.round(100 * seen.progress) + " % " + seen.name + " - raygan";
  byId("name").textContent = seen.name;
  byId("status").textContent = seen.status + (seen.exit_code ? " (" + seen.exit_code + ")" : "");
  byId("status").classList.toggle("bad", ["failed", "lost", "degraded"].includes(seen.status));
  byId("bar").style.width = (100 * seen.progress) + "%";
  byId("bar").parentElement.ariaValueNow = Math.round(100 * seen.progress);
  const facts = [seen.strategy + ", " + seen.tempo, seen.data, "seed " + seen.seed,
    Math.round(seen.elapsed) + " s"];
  if (seen.eta !== null) facts.push("eta " + Math.round(seen.eta) + " s");
  if (seen.swaps) facts.push(seen.swaps + " swaps");
  if (seen.deaths) facts.push(seen.deaths + " deaths");
  Object.entries(seen.warnings).forEach(([name, count]) => facts.push(name + " " + count + "x"));
  Object.entries(seen.damaged).forEach(
    ([name, count]) => facts.push(count + " damaged lines in " + name));
  byId("facts").textContent = facts.join("  ·  ");
  byId("note").hidden = !seen.note && !seen.error;
  byId("note").textContent = seen.error || seen.note;
  table(seen); tabs(seen); picture(seen); events(seen);
}

async function look() {
  try {
    if (!paused) {
      const answer = await fetch("state.json");
      if (!answer.ok) throw new Error(await answer.text());
      draw(await answer.json());
    }
  } catch (error) {
    byId("status").textContent = "no answer from raygan watch";
    byId("status").classList.add("bad");
  }
  setTimeout(look, EVERY_MS);
}

byId("pause").onclick = () => {
  paused = !paused;
  byId("pause").ariaPressed = String(paused);
  byId("pause").textContent = paused ? "Go on" : "Pause";
};
look();
