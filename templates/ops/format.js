// Texts for people, and cells. Nothing that comes from a server becomes markup.

export const byId = (id) => document.getElementById(id);
const isMissing = (value) => value === null || value === undefined;

export const seconds = (value) => {
  if (isMissing(value)) return "–";
  if (value >= 86400) return `${Math.floor(value / 86400)} d`;
  if (value >= 3600) return `${Math.floor(value / 3600)} h`;
  if (value >= 60) return `${Math.floor(value / 60)} min`;
  if (value >= 1) return `${value.toFixed(1)} s`;
  if (value >= 0.001) return `${(value * 1e3).toFixed(1)} ms`;
  return `${Math.round(value * 1e6)} µs`;
};
export const count = (value) => (isMissing(value) ? "–" : value.toLocaleString("en"));
export const rows = (value) => (isMissing(value) ? "–" : value.toFixed(1));

export const cell = (row, text, kind) => {
  const td = row.insertCell();
  td.textContent = text;
  if (kind) td.className = kind;
  return td;
};

// The first cell of a row, which names it.
export const head = (row, text) => {
  const th = document.createElement("th");
  th.scope = "row";
  th.textContent = text;
  row.append(th);
  return th;
};

// Writes only what is new, so that nothing is read out twice and no focus is lost.
export const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const mark = () => {
  const dot = document.createElement("span");
  dot.className = "mark";
  return dot;
};

export const replaceBody = (id, fill) => {
  const body = document.createElement("tbody");
  fill(body);
  body.id = id;
  byId(id).replaceWith(body);
};
