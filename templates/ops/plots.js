// The last ten minutes of every node, as plots if the library that plots is there, and as a table.
import { byId, cell, count, head, replaceBody, rows, seconds, write } from "./format.js";

const KEPT = 600;
const FIGURES = [
  { name: "refreshesPerS", title: "Refreshes a second", show: rows },
  { name: "refreshP99S", title: "p99 of a refresh", show: seconds, hasGaps: true },
  { name: "batchSize", title: "Sessions of a batch", show: rows, hasGaps: true },
  { name: "restarts", title: "Restarts of actors", show: count },
  { name: "hashesWaiting", title: "Password hashes under way or waiting", show: count },
];
// Told apart by people who see few colours, on both grounds.
const COLOURS = ["#3b82c4", "#d1700f", "#2a9d6f", "#b05cc6", "#c2454f", "#8a8d2a", "#5f6b7a", "#0f9aa8"];

const histories = new Map();
const drawn = new Map();

const colour = (place) => COLOURS[place % COLOURS.length];

// Seconds without refreshes are gaps; that two nodes look at different moments of a second is none.

// What a node has told, with what it tells now; nothing older than what is kept.
export const learn = (id, told) => {
  const known = histories.get(id) || { at: [], ...Object.fromEntries(FIGURES.map((f) => [f.name, []])) };
  for (const name of Object.keys(known)) {
    known[name].push(...(told[name] || []));
    known[name].splice(0, Math.max(0, known[name].length - KEPT));
  }
  histories.set(id, known);
};

export const newest = (id) => histories.get(id)?.at.at(-1) || 0;

export const forget = () => {
  histories.clear();
  for (const plot of drawn.values()) plot.destroy();
  drawn.clear();
  byId("plots").replaceChildren();
};

// The times of all nodes on one axis, and the values of each node.
const aligned = (nodes, figure) => {
  const times = [...new Set(nodes.flatMap((node) => histories.get(node.id).at))].sort((a, b) => a - b);
  const lines = nodes.map((node) => {
    const history = histories.get(node.id);
    const values = new Map(history.at.map((at, place) => [at, history[figure.name][place]]));
    return times.map((at) => values.get(at) ?? null);
  });
  return [times, ...lines];
};

const numbers = (values) => values.filter((value) => value !== null && value !== undefined);
const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
const highest = (values) => (values.length ? Math.max(...values) : null);

const table = (nodes) => {
  replaceBody("history", (body) => {
    for (const figure of FIGURES) {
      for (const node of nodes) {
        const values = histories.get(node.id)[figure.name];
        const row = body.insertRow();
        head(row, figure.title);
        cell(row, node.name);
        cell(row, figure.show(values.at(-1)), "number");
        cell(row, figure.show(mean(numbers(values))), "number");
        cell(row, figure.show(highest(numbers(values))), "number");
      }
    }
  });
};

const legend = (nodes) => {
  const text = nodes.map((node) => node.name).join("\n");
  const element = byId("legend");
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(
    ...nodes.map((node, place) => {
      const span = document.createElement("span");
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", colour(place)]]) line.setAttribute(name, value);
      svg.setAttribute("aria-hidden", "true");
      svg.append(line);
      span.append(svg, node.name);
      return span;
    }),
  );
};

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A second between two without refreshes is no line, and would not be seen.
const points = (figure) => (figure.hasGaps ? { points: { show: true, size: 4 } } : {});

const begin = (figure, nodes, width) => {
  const frame = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const place = document.createElement("div");
  caption.textContent = figure.title;
  place.setAttribute("role", "img");
  frame.append(caption, place);
  byId("plots").append(frame);
  const axis = { stroke: () => style("--quiet"), grid: { stroke: () => style("--line"), width: 1 }, ticks: { stroke: () => style("--line") } };
  const options = {
    width,
    height: 170,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [axis, { ...axis, size: 70, values: (_plot, ticks) => ticks.map((tick) => figure.show(tick)) }],
    series: [{}, ...nodes.map((node, index) => ({ label: node.name, stroke: colour(index), width: 1.5, spanGaps: !figure.hasGaps, ...points(figure) }))],
  };
  const plot = new window.uPlot(options, aligned(nodes, figure), place);
  plot.element = place;
  return plot;
};

// Draws everything anew; with other nodes, in other plots.
export const show = (all) => {
  const nodes = all.filter((node) => histories.has(node.id));
  table(nodes);
  legend(nodes);
  byId("figures").open ||= !window.uPlot;
  if (!window.uPlot || !nodes.length) return;
  const who = nodes.map((node) => node.id).join();
  const host = byId("plots");
  if (host.dataset.who !== who) {
    host.dataset.who = who;
    for (const plot of drawn.values()) plot.destroy();
    drawn.clear();
    host.replaceChildren();
  }
  const columns = Math.max(1, Math.floor(host.clientWidth / 400));
  const width = Math.max(280, Math.floor(host.clientWidth / columns) - 16);
  for (const figure of FIGURES) {
    const plot = drawn.get(figure.name) || begin(figure, nodes, width);
    drawn.set(figure.name, plot);
    if (plot.width !== width) plot.setSize({ width, height: 170 });
    plot.setData(aligned(nodes, figure));
    const said = nodes.map((node) => `${node.name} ${figure.show(histories.get(node.id)[figure.name].at(-1))}`);
    plot.element.setAttribute("aria-label", `${figure.title}, newest: ${said.join(", ")}`);
  }
};

export const unheard = (texts) => write(byId("unheard"), texts.join(" "));
