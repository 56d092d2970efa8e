// The table of runs and what is chosen of it. All texts of runs are set as text, never as HTML.
"use strict";
(() => {
const DATA = JSON.parse(document.getElementById("data").textContent);
// Runs side by side at most, and rows of parameters before a button shows the others.
const MOST = 6, MOST_ROWS = 100;
// Images of a whole grid, as make_leaderboard_entry makes it.
const MOST_IMAGES = 64;
const LETTERS = "ABCDEF";
const DASHES = ["", "8 3", "2 3", "10 3 2 3", "14 5", "5 2"];
const AXES = { epoch: "epoch", images_seen: "images seen", minutes: "minutes" };
const CURVES = {
  loss_g: "Generator loss", loss_d: "Discriminator loss",
  real_score: "Score of real images", fake_score: "Score of generated images",
  kernel_distance: "Kernel distance to validation images", diversity: "Diversity of generated images",
  class_diversity: "Diversity of the least diverse class", collapsed_classes: "Collapsed classes",
  class_nearest: "Nearest image of the same class",
  novelty: "Novelty: distance to training images",
};
// Columns that aren't metrics: heading, type, and whether they are shown at first.
const FIELDS = {
  epochs: ["Epochs", "number", true], images_seen: ["Images seen", "number", false],
  minutes: ["Minutes", "number", true], seed: ["Seed", "number", true],
  started: ["Started", "text", true], network: ["Network", "text", false],
  ended_by: ["Ended by", "text", false], version: ["Ganvas", "text", false],
  model_version: ["Model version", "text", false],
};
const byId = id => document.getElementById(id);
const runs = DATA.runs;
const metricNames = DATA.metrics.map(metric => metric.name);
const metricNumber = Object.fromEntries(metricNames.map((name, number) => [name, number]));

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "style") for (const [name, text] of Object.entries(value)) element.style.setProperty(name, text);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

function s(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Numbers, as format_number of metric_table.py writes them.
const formats = new Map();
function formatNumber(value, decimals) {
  if (decimals === undefined || decimals === null) {
    const size = Math.abs(value);
    decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  }
  if (!formats.has(decimals))
    formats.set(decimals, new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals, signDisplay: "negative" }));
  return formats.get(decimals).format(value).replace("-", "−");
}
const formatShort = value => value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)
  ? value.toExponential(2).replace("-", "−") : formatNumber(value);
function formatValue(number, values) {
  if (!values) return "";
  if (values[0] === null) return "not a number";
  const { decimals } = DATA.metrics[number];
  const text = formatNumber(values[0], decimals);
  if (values[1] === null) return text;
  const size = Math.abs(values[0]);
  return `${text} ± ${formatNumber(values[1], decimals ?? (size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3))}`;
}
// A factor stays in one line, and the sign on the line of the last word.
const headline = number => `${DATA.metrics[number].title.replace("× ", "×\u00a0")}${DATA.metrics[number].sign && `\u00a0${DATA.metrics[number].sign}`}`;
const formatTime = text => text.slice(0, 16).replace("T", " ").replace(/\./g, ":");
function formatField(run, key) {
  const value = run[key];
  if (value === null || value === undefined) return "";
  if (key === "started") return formatTime(value);
  if (typeof value !== "number") return String(value);
  return key === "minutes" ? formatNumber(value, 1) : key === "seed" ? String(value) : formatNumber(value, Number.isInteger(value) ? 0 : null);
}
const formatParameter = value => typeof value === "string" ? value : JSON.stringify(value);
const plural = (count, word) => `${formatNumber(count, 0)} ${word}${count === 1 ? "" : "s"}`;
const median = values => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

// --- State, which the address keeps -------------------------------------------------------------
const FIRST_COLUMNS = [
  ...DATA.metrics.filter(metric => metric.main).map(metric => metric.name),
  ...Object.keys(FIELDS).filter(key => FIELDS[key][2]),
];
const known = key => key in metricNumber || key in FIELDS || key === "name";
const firstSort = metricNames.includes("kernel_distance") ? "kernel_distance" : DATA.metrics.some(metric => metric.main) ? metricNames[0] : "started";
const initial = () => ({
  text: "", dataset: "", extractor: "", network: "", joined: false, sort: firstSort,
  down: firstSort !== "started" ? firstDown(firstSort) : true, columns: FIRST_COLUMNS,
  ticked: runs.length <= MOST ? runs.map(run => run.run) : [], axis: "epoch", log: false,
});
// The best first; text from A, the newest time first.
function firstDown(key) {
  return key in metricNumber ? DATA.metrics[metricNumber[key]].sign === "↑" : key === "started";
}
let state = initial(), written = null;
const byName = new Map(runs.map(run => [run.run, run]));

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  state = initial();
  for (const key of ["text", "dataset", "extractor", "network"]) state[key] = words.get(key) ?? "";
  for (const key of ["joined", "log"]) state[key] = words.get(key) === "1";
  if (words.get("axis") in AXES) state.axis = words.get("axis");
  if (known(words.get("sort"))) {
    state.sort = words.get("sort");
    state.down = words.get("down") === "1";
  }
  if (words.has("columns")) state.columns = words.get("columns").split(" ").filter(key => known(key));
  if (words.has("runs")) state.ticked = [...new Set(words.getAll("runs"))].filter(name => byName.has(name)).slice(0, MOST);
}

function writeAddress() {
  const words = new URLSearchParams(), first = initial();
  for (const key of ["text", "dataset", "extractor", "network"]) if (state[key]) words.set(key, state[key]);
  for (const key of ["joined", "log"]) if (state[key]) words.set(key, "1");
  if (state.axis !== first.axis) words.set("axis", state.axis);
  if (state.sort !== first.sort || state.down !== first.down) {
    words.set("sort", state.sort);
    words.set("down", state.down ? "1" : "0");
  }
  if (state.columns.join(" ") !== first.columns.join(" ")) words.set("columns", state.columns.join(" "));
  if (state.ticked.join("\n") !== first.ticked.join("\n"))
    state.ticked.length ? state.ticked.forEach(name => words.append("runs", name)) : words.set("runs", "");
  written = words.size ? `#${words}` : "";
  // A page that is shown within another one may not change its address.
  try { history.replaceState(null, "", written || location.pathname + location.search); } catch { /* as it was */ }
}

// --- The table --------------------------------------------------------------------------------
function valueOf(run, key) {
  if (key in metricNumber) return run.metrics[metricNumber[key]]?.[0] ?? null;
  return key === "name" ? run.name : run[key] ?? null;
}

function haystack(run) {
  if (run.haystack === undefined) {
    const settings = Object.entries(run.changed).map(([number, value]) => {
      const name = DATA.parameters[number];
      return value === null ? "" : `${name}=${formatParameter(value)} ${name.slice(name.lastIndexOf(".") + 1)}=${formatParameter(value)}`;
    });
    run.haystack = [run.name, run.run, run.dataset, run.extractor, run.network, `seed=${run.seed}`, formatTime(run.started), run.version, run.ended_by ?? "", ...settings].join("\n").toLowerCase();
  }
  return run.haystack;
}

function findShown() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter(run => ["dataset", "extractor", "network"].every(key => !state[key] || run[key] === state[key])
    && words.every(word => haystack(run).includes(word)));
}

// A row is a run, or the runs that differ in their seed alone.
function makeRows(shown) {
  if (!state.joined) return shown.map(run => ({ runs: [run], group: run.group }));
  const rows = new Map();
  for (const run of shown) {
    if (!rows.has(run.repetition)) rows.set(run.repetition, { runs: [], group: run.group });
    rows.get(run.repetition).runs.push(run);
  }
  return [...rows.values()];
}

function rowValue(row, key) {
  const values = row.runs.map(run => valueOf(run, key)).filter(value => value !== null);
  if (!values.length) return null;
  return values.every(value => typeof value === "number") ? median(values) : key === "started" ? values.sort().at(-1) : values[0];
}

function sortRows(rows) {
  const keyed = rows.map((row, place) => ({ row, place, value: rowValue(row, state.sort) }));
  keyed.sort((a, b) => {
    if (a.row.group !== b.row.group) return a.row.group - b.row.group;
    // Missing values come last in both directions.
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.place - b.place;
    const order = typeof a.value === "number" && typeof b.value === "number" ? a.value - b.value
      : String(a.value).localeCompare(String(b.value), "en", { numeric: true });
    return (state.down ? -order : order) || a.place - b.place;
  });
  return keyed.map(item => item.row);
}

// Whether a value is better than another one by the sign of its metric.
function distanceToBest(number, values) {
  if (!values || values[0] === null) return null;
  const { sign } = DATA.metrics[number];
  if (sign === "↓") return values[0];
  if (sign === "↑") return -values[0];
  return sign === "≈" && values[2] !== null ? Math.abs(values[0] - values[2]) : null;
}
function rowDistance(row, number) {
  const measured = row.runs.map(run => run.metrics[number]).filter(values => values && values[4]);
  const distances = measured.map(values => distanceToBest(number, values)).filter(value => value !== null);
  return distances.length ? median(distances) : null;
}
function findBest(rows, number) {
  const distances = rows.map(row => rowDistance(row, number)).filter(value => value !== null);
  // Of equal values none is the best.
  return new Set(distances).size > 1 ? Math.min(...distances) : null;
}

const observer = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    target.src = byName.get(target.dataset.run).thumbnail;
    observer.unobserve(target);
  }
}, { root: byId("box"), rootMargin: "200px" });

function drawHead() {
  const cell = (key, title, type, description) => h("th", {
    scope: "col", class: key === "name" ? "run" : type === "number" ? "number" : "", "data-key": key,
  }, h("button", { type: "button", title: description, onclick: () => {
    state.down = state.sort === key ? !state.down : firstDown(key);
    state.sort = key;
    update();
  } }, title));
  byId("runs").replaceChildren(h("thead", null, h("tr", null,
    cell("name", "Run", "text"),
    ...state.columns.map(key => key in metricNumber
      ? cell(key, headline(metricNumber[key]), "number")
      : cell(key, ...FIELDS[key])))));
}

function drawRows(rows) {
  const table = byId("runs");
  for (const body of [...table.tBodies]) body.remove();
  for (const cell of table.tHead.rows[0].cells) {
    if (cell.dataset.key === state.sort) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
  const bodies = new Map();
  for (const row of rows) {
    if (!bodies.has(row.group)) bodies.set(row.group, []);
    bodies.get(row.group).push(row);
  }
  const width = state.columns.length + 1;
  for (const [group, members] of bodies) {
    const best = new Map(), extent = new Map();
    for (const key of state.columns) if (key in metricNumber) {
      const number = metricNumber[key];
      best.set(key, findBest(members, number));
      const all = members.flatMap(row => row.runs.map(run => valueOf(run, key))).filter(value => value !== null);
      extent.set(key, [Math.min(...all), Math.max(...all)]);
    }
    const count = members.reduce((sum, row) => sum + row.runs.length, 0);
    const body = h("tbody", null, h("tr", { class: "group" }, h("th", { colspan: String(width), scope: "rowgroup" },
      h("span", null, `${DATA.groups[group].title} · ${plural(count, "run")}`))));
    for (const row of members) body.append(drawRow(row, best, extent));
    table.append(body);
  }
  if (!rows.length) table.append(h("tbody", null, h("tr", null, h("td", { colspan: String(width), class: "empty" }, "No run matches the filter. ",
    h("button", { type: "button", onclick: clearFilters }, "Clear filter")))));
}

function drawRow(row, best, extent) {
  const [first] = row.runs, names = row.runs.map(run => run.run);
  // On a phone, columns that tell runs apart are out of sight.
  const small = state.joined ? plural(row.runs.length, "run") : marks.get(first.run);
  const label = small ? `${first.name}, ${small}` : first.name;
  const box = h("input", { type: "checkbox", "aria-label": `Compare ${label}, ${names[0]}`, onchange: event => tick(names, event.target.checked) });
  const image = h("img", { alt: "", "data-run": first.run });
  observer.observe(image);
  const element = h("tr", null, h("td", { class: "run", title: names.join("\n") }, h("label", null, box, image,
    h("span", null, h("b", null, first.name), small ? h("small", { class: "spread" }, small) : null))));
  row.element = element;
  row.box = box;
  for (const key of state.columns) {
    if (key in metricNumber) {
      element.append(drawMetric(row, key, best.get(key), extent.get(key)));
      continue;
    }
    const texts = [...new Set(row.runs.map(run => formatField(run, key)).filter(Boolean))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const numbers = row.runs.map(run => run[key]).filter(value => typeof value === "number");
    let text = texts[0] ?? "";
    if (texts.length > 1 && key === "seed") text = `${texts.slice(0, 4).join(", ")}${texts.length > 4 ? " …" : ""}`;
    else if (texts.length > 1 && numbers.length === row.runs.length) text = `${formatField({ [key]: Math.min(...numbers) }, key)}–${formatField({ [key]: Math.max(...numbers) }, key)}`;
    else if (texts.length > 1) text = key === "started" ? `${texts.at(-1)} …` : texts.join(", ");
    element.append(h("td", { class: FIELDS[key][1] === "number" ? "number" : "", title: texts.length > 1 ? texts.join(", ") : undefined }, text));
  }
  return element;
}

function drawMetric(row, key, best, [low, high]) {
  const number = metricNumber[key], metric = DATA.metrics[number];
  const measured = row.runs.map(run => run.metrics[number]).filter(Boolean);
  if (!measured.length) return h("td", { class: "number" });
  const isBest = best !== null && rowDistance(row, number) === best;
  const odd = measured.some(values => !values[4]);
  const mark = odd ? h("abbr", { title: "measured on another number of images than most runs of this group" }, "†") : null;
  const protocol = [...new Set(measured.map(values => DATA.protocols[values[3]]))].join("\n");
  const values = measured.map(values => values[0]).filter(value => value !== null);
  const middle = measured.length === 1 || !values.length ? formatValue(number, measured[0]) : formatNumber(median(values), metric.decimals);
  const cell = h("td", { class: "number", title: `${metric.title}: ${protocol}` }, h("span", { class: isBest ? "best" : undefined }, middle), mark);
  if (measured.length > 1 && values.length) {
    const place = value => `${high > low ? 100 * (value - low) / (high - low) : 50}%`;
    const [least, most] = [Math.min(...values), Math.max(...values)];
    cell.append(h("small", { class: "spread" }, `${formatNumber(least, metric.decimals)}–${formatNumber(most, metric.decimals)}`));
    cell.append(h("span", { class: "range", "aria-hidden": "true" },
      h("i", { style: { left: place(least), right: `calc(100% - ${place(most)})` } }),
      ...values.map(value => h("s", { style: { left: place(value) } }))));
  }
  return cell;
}

// Runs of equal names are told apart by their seeds, and with equal seeds by their times too.
function tellApart(list, nameOf) {
  const named = new Map(), marks = new Map();
  for (const run of list) (named.get(nameOf(run)) ?? named.set(nameOf(run), []).get(nameOf(run))).push(run);
  for (const same of named.values()) {
    const bySeed = new Set(same.map(run => run.seed)).size === same.length;
    for (const run of same) marks.set(run.run, same.length < 2 ? "" : bySeed ? `seed ${run.seed}` : `seed ${run.seed}, ${formatTime(run.started)}`);
  }
  return marks;
}
const marks = tellApart(runs, run => `${run.group} ${run.name}`);

let rows = [];
function updateTicks() {
  const ticked = new Set(state.ticked);
  for (const row of rows) {
    const count = row.runs.filter(run => ticked.has(run.run)).length;
    row.box.checked = count === row.runs.length || (count > 0 && count === MOST);
    row.box.indeterminate = count > 0 && !row.box.checked;
    row.element.classList.toggle("ticked", count > 0);
  }
}

function update() {
  const shown = findShown();
  rows = sortRows(makeRows(shown));
  drawRows(rows);
  updateTicks();
  byId("count").textContent = shown.length === runs.length ? plural(runs.length, "run") : `${formatNumber(shown.length, 0)} of ${plural(runs.length, "run")}`;
  if (state.joined) byId("count").textContent += ` in ${plural(rows.length, "row")}: runs that differ in their seed alone are joined`;
  byId("legend").textContent = state.joined
    ? "A value is the median over seeds, with the range from the smallest to the largest below; a dot is a run. Green: the best median of the rows shown in a group."
    : "Green: the best value of the runs shown in a group. Tick up to six runs to see them side by side.";
  if (shown.some(run => Object.values(run.metrics).some(values => !values[4])))
    byId("legend").textContent += " †: measured on another number of images than in most runs of the group, so not comparable with them.";
  writeAddress();
}

function clearFilters() {
  for (const key of ["text", "dataset", "extractor", "network"]) byId(key).value = state[key] = "";
  update();
}

let refusal = "";
function tick(names, on) {
  refusal = "";
  if (!on) state.ticked = state.ticked.filter(name => !names.includes(name));
  else {
    const added = names.filter(name => !state.ticked.includes(name));
    const room = MOST - state.ticked.length;
    if (added.length > room) refusal = `At most ${MOST} runs can be compared at once${room ? `, so ${added.length - room} of these were left out` : ": take one off first"}.`;
    state.ticked = [...state.ticked, ...added.slice(0, room)];
  }
  updateTicks();
  drawTray();
  drawChosen();
  writeAddress();
}

// --- Chosen runs ------------------------------------------------------------------------------
const chosen = () => {
  const list = state.ticked.map(name => byName.get(name)), marks = tellApart(list, run => run.name);
  return list.map(run => ({ ...run, name: marks.get(run.run) ? `${run.name}, ${marks.get(run.run)}` : run.name }));
};
const color = number => ({ "--color": `var(--run-${number})` });
const badge = number => h("span", { class: "badge", style: color(number) }, LETTERS[number]);

function drawTray() {
  const tray = byId("tray"), list = chosen();
  tray.hidden = !list.length && !refusal;
  tray.replaceChildren(
    h("p", { role: "status", hidden: !refusal }, refusal),
    h("div", { class: "line" },
      h("ul", { "aria-label": "Chosen runs" }, ...list.map((run, number) => h("li", null, h("button", {
        type: "button", title: `Take off ${run.name}`, "aria-label": `Take off run ${LETTERS[number]}, ${run.name}`, onclick: () => tick([run.run], false),
      }, badge(number), h("span", null, run.name), h("span", { "aria-hidden": "true" }, "×"))))),
      h("button", { type: "button", onclick: () => tick([...state.ticked], false) }, "Clear"),
      h("button", { type: "button", class: "go", onclick: () => byId("chosen").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }) }, "Compare")));
  document.documentElement.style.setProperty("--tray", tray.hidden ? "0px" : `${tray.offsetHeight}px`);
}

function drawChosen() {
  const list = chosen(), section = byId("chosen");
  if (!list.length) {
    section.replaceChildren(h("h2", null, "Side by side"), h("p", { class: "empty" }, `Tick up to ${MOST} runs in the table to see their images, metrics, curves and parameters side by side.`));
    return;
  }
  section.replaceChildren(...drawGrids(list), ...drawMetrics(list), ...drawCharts(list), ...drawParameters(list), ...drawCommands(list));
  fillCharts(list);
}

// What is known to be equal, or not, of the latents and classes of images at the same position.
function describeLatents(list) {
  if (list.length < 2) return "Uncurated samples of a fixed seed. With classes, a row is of one class.";
  const reasons = [], unknown = [];
  const hasClasses = list.some(run => run.sampling["network.label"] && run.sampling["network.label"] !== "none");
  for (const key of Object.keys(list[0].sampling)) {
    // Without classes a grid has the first images, of which there are enough.
    if (key === "evaluate.count" && !hasClasses && list.every(run => !(run.sampling[key] < MOST_IMAGES))) continue;
    const values = list.map(run => run.sampling[key]).filter(value => value !== null);
    if (values.length < list.length) unknown.push(key);
    if (new Set(values.map(value => JSON.stringify(value))).size > 1) reasons.push(`${key} (${[...new Set(values.map(formatParameter))].join(" and ")})`);
  }
  if (new Set(list.map(run => run.dataset)).size > 1) reasons.push("datasets, and so classes");
  const shapes = new Set(list.map(run => run.shape.join("×")));
  // Earlier versions have no ingest.channels: their images are rgb.
  const differing = [["ingest.size", "unknown", "sizes"], ["ingest.channels", "rgb", "channels"]].map(([key, missing, name]) => {
    const values = [...new Set(list.map(run => formatParameter(parameter(run, key) ?? missing)))];
    return values.length > 1 ? `${name} (${key} ${values.join(" and ")})` : "";
  }).filter(Boolean);
  const other = differing.length ? ` Their images have different ${differing.join(" and ")}.`
    : shapes.size > 1 ? " Their grids have different sizes, so positions differ." : "";
  if (reasons.length) return `Images at the same position are not of the same latent vectors: the runs differ in ${reasons.join(", ")}.${other}`;
  if (unknown.length) return `Whether images at the same position are of the same latent vectors isn't known: ${unknown.join(" and ")} of some runs ${unknown.length > 1 ? "weren't" : "wasn't"} recorded.${other}`;
  return `Images at the same position are of the same latent vectors${hasClasses ? " and, if the runs have the same training images, classes" : ""}. Networks of different trainings make different images of a latent vector.${other}`;
}

function drawGrids(list) {
  const hint = `This is a reduced copy: the whole image is in the folder leaderboard beside comparison.html.`;
  return [
    h("h2", null, "Side by side"),
    h("p", { class: "quiet", id: "latents" }, describeLatents(list)),
    h("div", { class: "grids", style: { "--count": list.length > 4 ? 3 : list.length } }, ...list.map((run, number) => {
      // Names of files have characters that an address has not.
      const address = `leaderboard/${run.run.split("/").map(part => encodeURIComponent(part.toWellFormed?.() ?? part)).join("/")}.png`;
      const image = h("img", { src: run.thumbnail, alt: `Images of run ${LETTERS[number]}, ${run.name}`, class: "reduced" });
      image.width = run.shape[0];
      image.height = run.shape[1];
      const link = h("a", { href: address, target: "_blank", title: "Open the whole image" }, image);
      const caption = h("figcaption", null, [
        `${formatField(run, "epochs")} epochs`, `${formatField(run, "images_seen")} images seen`, `${formatField(run, "minutes")} minutes`, `seed ${run.seed}`,
        run.epoch ? `models of epoch ${run.epoch}` : "", run.ended_by ? `ended by ${run.ended_by}` : "",
      ].filter(Boolean).join(" · "));
      const whole = new Image();
      whole.onload = () => { image.src = address; image.classList.remove("reduced"); };
      whole.onerror = () => { link.replaceWith(image); caption.before(h("p", { class: "quiet missing" }, hint)); };
      whole.src = address;
      return h("figure", null, h("div", { class: "title" }, badge(number), h("span", null, run.name)), link, caption);
    })),
  ];
}

const headings = list => list.map((run, number) => h("th", { class: "number", scope: "col", title: run.name, "aria-label": `Run ${LETTERS[number]}, ${run.name}` }, badge(number)));

function drawMetrics(list) {
  const parts = [h("h3", null, "Metrics")];
  if (!metricNames.some((_, number) => list.some(run => run.metrics[number])))
    return [...parts, h("p", { class: "quiet" }, list.length > 1 ? "No metrics were recorded of these runs." : "No metrics were recorded of this run.")];
  const comparable = new Set(list.map(run => run.group)).size === 1;
  if (!comparable) parts.push(h("p", { class: "warning", id: "incomparable" }, "These runs are of different datasets or feature extractors: their metrics can't be compared."));
  const body = h("tbody"), groups = new Map(), odd = [];
  metricNames.forEach((_, number) => {
    if (!list.some(run => run.metrics[number])) return;
    const { group } = DATA.metrics[number];
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(number);
  });
  for (const [title, numbers] of groups) {
    body.append(h("tr", { class: "group" }, h("td", { colspan: String(list.length + 2) }, title)));
    for (const number of numbers) {
      const metric = DATA.metrics[number], measured = list.map(run => run.metrics[number]);
      const counts = new Set(measured.filter(Boolean).map(values => (DATA.protocols[values[3]].match(/N=[\d,]+/g) || []).join()));
      const alike = comparable && counts.size === 1;
      if (comparable && counts.size > 1) odd.push(metric.title);
      const distances = measured.map(values => distanceToBest(number, values)).filter(value => value !== null);
      const best = alike && distances.length > 1 && new Set(distances).size > 1 ? Math.min(...distances) : null;
      const baselines = [...new Set(measured.filter(values => values && values[2] !== null).map(values => formatNumber(values[2], metric.decimals)))];
      body.append(h("tr", null,
        h("td", { title: [...new Set(measured.filter(Boolean).map(values => DATA.protocols[values[3]]))].join("\n") }, headline(number)),
        ...measured.map(values => h("td", { class: "number" }, h("span", { class: best !== null && distanceToBest(number, values) === best ? "best" : undefined }, formatValue(number, values)))),
        h("td", { class: "number" }, baselines.slice(0, 2).join(", ") + (baselines.length > 2 ? " …" : ""))));
    }
  }
  parts.push(h("p", { class: "quiet" }, `${list.length > 1 && comparable ? "Green: the best value. " : ""}Real images: the same metric with real images in place of generated ones.`));
  if (odd.length) parts.push(h("p", { class: "warning" }, `Measured on different numbers of images, so not comparable: ${odd.join(", ")}.`));
  parts.push(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Metrics, can be scrolled" },
    h("table", { class: "values metrics-of", id: "metrics" }, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Metric"), ...headings(list), h("th", { class: "number", scope: "col" }, "Real images"))), body)));
  parts.push(h("details", null, h("summary", null, "How each metric was measured"), h("dl", { class: "protocols" }, ...[...groups.values()].flat().flatMap(number => {
    const measured = new Map();
    list.forEach((run, place) => {
      if (!run.metrics[number]) return;
      const protocol = DATA.protocols[run.metrics[number][3]];
      measured.set(protocol, [...(measured.get(protocol) ?? []), LETTERS[place]]);
    });
    return [h("dt", null, DATA.metrics[number].title), ...[...measured].map(([protocol, letters]) => h("dd", null, measured.size > 1 ? `${letters.join(", ")}: ${protocol}` : protocol))];
  }))));
  return parts;
}

function parameter(run, name) {
  const number = DATA.parameters.indexOf(name);
  return number < 0 ? null : number in run.changed ? run.changed[number] : DATA.values[number];
}

// Names of parameters are broken after a dot or an underscore.
const breakable = name => name.split(/(?<=[._])/).flatMap(part => [part, h("wbr")]);

function drawParameters(list) {
  const parts = [h("h3", null, "Parameter differences")];
  if (list.length < 2) return [...parts, h("p", { class: "quiet" }, "Tick another run to see which parameters differ.")];
  // Parameters that no chosen run has changed have the common value in all of them.
  const numbers = new Set(list.flatMap(run => Object.keys(run.changed).map(Number)));
  const differing = [...numbers].sort((a, b) => a - b).map(number => {
    const values = list.map(run => number in run.changed ? run.changed[number] : DATA.values[number]);
    return { name: DATA.parameters[number], values, texts: values.map(value => JSON.stringify(value)) };
  }).filter(({ texts }) => new Set(texts).size > 1);
  if (!differing.length) return [...parts, h("p", { class: "quiet" }, "All parameters are equal.")];
  const body = h("tbody");
  const fill = rows => rows.forEach(({ name, values, texts }) => {
    const counts = texts.map(text => texts.filter(other => other === text).length), most = Math.max(...counts);
    body.append(h("tr", null, h("td", null, h("code", null, ...breakable(name))), ...values.map((value, number) => {
      const text = value === null ? "–" : formatParameter(value);
      const unusual = list.length > 2 && most > 1 && counts[number] < most && value !== null;
      return h("td", { title: value === null ? "This run has no such parameter" : undefined }, unusual ? h("mark", null, text) : text);
    })));
  });
  fill(differing.slice(0, MOST_ROWS));
  parts.push(h("p", { class: "quiet" }, `${plural(differing.length, "parameter")} ${differing.length === 1 ? "differs" : "differ"}.${list.length > 2 ? " Values that are not the most common ones are marked." : ""}`));
  parts.push(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parameter differences, can be scrolled" }, h("table", { class: "values settings", id: "parameters" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Parameter"), ...headings(list).map(cell => { cell.className = ""; return cell; }))), body)));
  if (differing.length > MOST_ROWS) {
    const more = h("button", { type: "button", onclick: () => { fill(differing.slice(MOST_ROWS)); more.remove(); } }, `Show all ${formatNumber(differing.length, 0)}`);
    parts.push(h("p", null, more));
  }
  return parts;
}

function drawCommands(list) {
  return [h("h3", null, "Commands"), h("ul", { class: "commands" }, ...list.map((run, number) => {
    const copy = h("button", { type: "button", onclick: () => copyText(run.command, copy) }, "Copy");
    const details = [`started ${formatTime(run.started)}`, `Ganvas ${run.version}`, run.model_version ? `models ${run.model_version}` : ""].filter(Boolean).join(" · ");
    return h("li", null, h("header", null, badge(number), h("span", null, run.name, h("small", { class: "spread" }, details)), run.command ? copy : null),
      run.command ? h("pre", null, h("code", null, run.command)) : h("p", { class: "quiet" }, "No command was recorded: an earlier version evaluated this run."));
  }))];
}

async function copyText(text, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages of other than secure addresses have no clipboard.
    const area = h("textarea", { style: { position: "fixed", opacity: "0" } });
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  button.textContent = copied ? "Copied" : "Select and copy by hand";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

// --- Charts -----------------------------------------------------------------------------------
function drawCharts(list) {
  const parts = [h("h3", null, "Training curves")];
  const without = list.map((run, number) => run.history ? null : LETTERS[number]).filter(Boolean);
  if (without.length === list.length)
    return [...parts, h("p", { class: "quiet", id: "no-history" }, `No history was recorded of ${list.length > 1 ? "these runs" : "this run"}: an earlier version evaluated ${list.length > 1 ? "them" : "it"}. Evaluate again by kedro run --pipelines=evaluate to record it.`)];
  if (without.length) parts.push(h("p", { class: "quiet", id: "no-history" }, `No history was recorded of ${without.join(", ")}: an earlier version evaluated ${without.length > 1 ? "these runs" : "this run"}.`));
  const redraw = () => { fillCharts(chosen()); writeAddress(); };
  parts.push(h("div", { class: "controls" },
    h("fieldset", null, h("legend", null, "Over"), ...Object.entries(AXES).map(([key, title]) => h("label", { class: "check" },
      h("input", { type: "radio", name: "axis", value: key, checked: state.axis === key, onchange: () => { state.axis = key; redraw(); } }), title))),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "log", checked: state.log, onchange: event => { state.log = event.target.checked; redraw(); } }), "Logarithmic where all values are positive")));
  parts.push(h("ul", { class: "keys" }, ...list.map((run, number) => run.history && h("li", { style: color(number) },
    s("svg", { width: 34, height: 10, "aria-hidden": "true" }, s("path", { d: "M0 5H34", "stroke-dasharray": DASHES[number] })), h("b", null, LETTERS[number]), h("span", null, run.name)))));
  parts.push(h("div", { class: "charts", id: "charts" }));
  return parts;
}

function fillCharts(list) {
  const charts = byId("charts");
  if (!charts) return;
  const columns = [...Object.keys(CURVES), ...list.flatMap(run => Object.keys(run.history ?? {}))]
    .filter((name, place, all) => all.indexOf(name) === place && !(name in AXES) && list.some(run => run.history?.[name]));
  const figures = columns.map(name => {
    const lines = [];
    list.forEach((run, number) => {
      const x = run.history?.[state.axis], y = run.history?.[name];
      if (!x || !y) return;
      const points = y.map((value, place) => [x[place], value]).filter(([a, b]) => a !== null && b !== null);
      if (points.length) lines.push({ number, points });
    });
    const title = CURVES[name] ?? `${name[0]?.toUpperCase() ?? ""}${name.slice(1).replaceAll("_", " ")}`;
    return { title, lines, figure: h("figure", null, h("h4", null, title)) };
  });
  charts.replaceChildren(...figures.map(item => item.figure));
  for (const { title, lines, figure } of figures) {
    if (lines.length) drawChart(figure, title, lines);
    else figure.append(h("p", { class: "quiet" }, `Not recorded over ${AXES[state.axis]}.`));
  }
}

function niceTicks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough);
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) ticks.push(n * step);
  return ticks;
}

// Ticks at powers of ten, and between them where these are few.
function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++)
    for (const factor of high - low > 3 ? [1] : high - low > 1 ? [1, 3] : [1, 1.5, 2, 3, 5, 7]) {
      const value = Math.log10(factor) + power;
      if (value >= low && value <= high) ticks.push(value);
    }
  return ticks.length > 1 ? ticks : niceTicks(low, high, 3);
}

const formatTick = value => {
  const size = Math.abs(value);
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)}M`.replace("-", "−");
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)}k`.replace("-", "−");
  if (size && size < 1e-4) return value.toExponential(0).replace("-", "−");
  return String(+value.toPrecision(4)).replace("-", "−");
};

function drawChart(figure, title, lines) {
  const width = Math.max(figure.clientWidth - 26, 220), height = 210;
  const edge = { left: 46, right: 16, top: 8, bottom: 36 };
  const all = lines.flatMap(line => line.points);
  const log = state.log && all.every(point => point[1] > 0);
  const scale = log ? Math.log10 : value => value;
  const range = numbers => {
    let low = Infinity, high = -Infinity;
    for (const value of numbers) { low = Math.min(low, value); high = Math.max(high, value); }
    const pad = low === high ? Math.abs(low) * .1 || .5 : 0;
    return [low - pad, high + pad];
  };
  const [left, right] = range(all.map(point => point[0]));
  let [bottom, top] = range(all.map(point => scale(point[1])));
  const room = (top - bottom) * .05;
  bottom -= bottom >= 0 && bottom < room && !log ? bottom : room;
  top += room;
  const x = value => edge.left + (width - edge.left - edge.right) * (value - left) / (right - left);
  const y = value => height - edge.bottom - (height - edge.top - edge.bottom) * (scale(value) - bottom) / (top - bottom);
  const last = lines.map(({ number, points }) => `${LETTERS[number]} ${formatShort(points.at(-1)[1])}`).join(", ");
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `${title} over ${AXES[state.axis]}; last values: ${last}` });
  for (const tick of log ? logTicks(bottom, top) : niceTicks(bottom, top, 4)) {
    const value = log ? 10 ** tick : tick, at = y(value);
    svg.append(s("path", { class: "grid", d: `M${edge.left} ${at.toFixed(1)}H${width - edge.right}` }), s("text", { x: edge.left - 6, y: at + 4, "text-anchor": "end" }, formatTick(value)));
  }
  for (const tick of niceTicks(left, right, Math.max(2, Math.min(6, width / 75))))
    svg.append(s("text", { x: x(tick), y: height - edge.bottom + 17, "text-anchor": "middle" }, formatTick(tick)));
  svg.append(s("text", { x: (edge.left + width - edge.right) / 2, y: height - 3, "text-anchor": "middle" }, AXES[state.axis]));
  for (const { number, points } of lines) {
    const path = points.map(([a, b], place) => `${place ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    svg.append(s("path", { class: "line", d: path, style: `--color: var(--run-${number})`, "stroke-dasharray": DASHES[number] || null }));
    // A line of few points is invisible or easily overlooked.
    if (points.length < 12) for (const [a, b] of points) svg.append(s("circle", { cx: x(a), cy: y(b), r: 3, style: `--color: var(--run-${number})` }));
  }
  const cursor = s("path", { class: "cursor", visibility: "hidden" }), reading = h("p", { class: "reading", "aria-hidden": "true" });
  const readLast = () => {
    cursor.setAttribute("visibility", "hidden");
    reading.replaceChildren("Last: ", ...lines.flatMap(({ number, points }) => [h("span", { style: color(number) }, `${LETTERS[number]} ${formatShort(points.at(-1)[1])}`), " "]));
  };
  svg.append(cursor);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const at = left + (right - left) * ((event.clientX - box.left) * width / box.width - edge.left) / (width - edge.left - edge.right);
    const nearest = lines.map(({ number, points }) => ({ number, point: points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a) }));
    const where = nearest.map(item => item.point[0]).reduce((a, b) => Math.abs(b - at) < Math.abs(a - at) ? b : a);
    cursor.setAttribute("d", `M${x(where).toFixed(1)} ${edge.top}V${height - edge.bottom}`);
    cursor.setAttribute("visibility", "visible");
    reading.replaceChildren(`${AXES[state.axis]} ${formatTick(where)}: `, ...nearest.flatMap(({ number, point }) => [h("span", { style: color(number) }, `${LETTERS[number]} ${formatShort(point[1])}`), " "]));
  });
  svg.addEventListener("pointerleave", readLast);
  readLast();
  figure.append(svg, reading);
}

// --- Controls ---------------------------------------------------------------------------------
function fillSelect(key, all) {
  const values = [...new Set(runs.map(run => run[key]))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const name = value => key === "extractor" && value === "no network" ? "none" : value;
  byId(key).replaceChildren(h("option", { value: "" }, all), ...values.map(value => h("option", { value }, name(value))));
  byId(key).addEventListener("change", event => { state[key] = event.target.value; update(); });
  // One choice is none.
  byId(key).closest("label").hidden = values.length < 2;
  if (values.length < 2) byId(key).closest("label").style.display = "none";
}

function drawColumnMenu() {
  const check = (key, title) => h("label", { class: "check" }, h("input", { type: "checkbox", checked: state.columns.includes(key), onchange: event => {
    const wanted = new Set(state.columns);
    event.target.checked ? wanted.add(key) : wanted.delete(key);
    state.columns = [...metricNames, ...Object.keys(FIELDS)].filter(name => wanted.has(name));
    drawHead();
    update();
  } }), title);
  byId("columns").querySelector(".menu").replaceChildren(
    h("b", null, "Metrics"), ...metricNames.map((name, number) => check(name, headline(number))),
    h("b", null, "Runs"), ...Object.entries(FIELDS).map(([key, [title]]) => check(key, title)));
}

function show() {
  for (const key of ["text", "dataset", "extractor", "network"]) {
    byId(key).value = state[key];
    // A dataset of an old link may be gone.
    if (byId(key).value !== state[key]) byId(key).value = state[key] = "";
  }
  byId("joined").checked = state.joined;
  drawColumnMenu();
  drawHead();
  update();
  drawTray();
  drawChosen();
}

fillSelect("dataset", "All datasets");
fillSelect("extractor", "All extractors");
fillSelect("network", "All networks");
let waiting = 0;
byId("text").addEventListener("input", event => {
  state.text = event.target.value;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(update);
});
byId("joined").addEventListener("change", event => { state.joined = event.target.checked; update(); });
byId("filters").addEventListener("submit", event => event.preventDefault());
document.addEventListener("click", event => { if (!byId("columns").contains(event.target)) byId("columns").open = false; });
document.addEventListener("keydown", event => {
  if (event.key !== "Escape" || !byId("columns").open) return;
  byId("columns").open = false;
  byId("columns").querySelector("summary").focus();
});
addEventListener("hashchange", () => { if (location.hash !== written) { readAddress(); show(); } });
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  fillCharts(chosen());
  drawTray();
});
byId("app").hidden = false;
readAddress();
show();
})();
