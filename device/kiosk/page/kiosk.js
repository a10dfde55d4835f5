// The page shows whatever the last "state" event says, and nothing else: it
// keeps no state of its own but which result is looked at and how the heatmap
// is laid over it.
"use strict";

const $ = (id) => document.getElementById(id);
const silence = 15000; // ms without a beat after which the box counts as lost
const lookBack = 90000; // ms after which an earlier result gives way to the latest

let state = null; // of the last event
let at = 0; // which result is shown; 0 is the latest
let shown = null; // key of the result on the screen; "" when there is none
let heat = true;
let source = null;
let heard = 0;
let idle = 0;

// Connection

function connect() {
  if (source) source.close();
  source = new EventSource("/events");
  heard = performance.now();
  source.addEventListener("state", (event) => {
    hear();
    const latest = state && state.results.length ? state.results[0].key : "";
    const page = state ? state.page : "";
    state = JSON.parse(event.data);
    if (page && page !== state.page) {
      location.reload(); // the box has a newer page
      return;
    }
    if (state.results.length && state.results[0].key !== latest) at = 0;
    at = Math.max(0, Math.min(at, state.results.length - 1));
    render();
  });
  source.addEventListener("beat", hear);
  source.onerror = lose;
}

function hear() {
  heard = performance.now();
  $("lost").hidden = true;
  document.body.classList.remove("lost");
}

function lose() {
  $("lost").hidden = false;
  document.body.classList.add("lost");
  $("room").dataset.state = "lost";
  $("word").textContent = "Not connected";
}

setInterval(() => {
  // The browser reconnects after most errors by itself; not after an answer
  // that is no stream, and it never notices a box that hangs.
  if (source.readyState === EventSource.CLOSED || performance.now() - heard > silence) {
    lose();
    connect();
  }
}, 2000);

// Drawing

function render() {
  const room = state.room;
  $("room").dataset.state = room.state;
  $("word").textContent = room.word;
  $("trouble").hidden = !room.trouble;
  $("trouble").textContent = room.trouble || "";
  $("unsigned").hidden = !room.unsigned;
  $("facts").replaceChildren(...room.facts.map((f) => element("li", f.wait ? "wait" : "", f.text)));
  document.body.classList.toggle("empty", state.results.length === 0);
  if (state.results.length) {
    renderResult(state.results[at]);
  } else {
    renderResult({ key: "", outcome: "none", headline: "No X-ray yet", sentence: "Waiting for the first X-ray on the share." });
  }
  renderRecent();
}

function renderResult(r) {
  const answer = document.querySelector(".answer");
  answer.dataset.outcome = r.outcome;
  $("earlier").hidden = at === 0;
  $("which").textContent = at === 0 ? "" : `Earlier result, ${clock(r.finished)}`;
  if (r.key === shown) return;
  shown = r.key;
  $("headline").textContent = r.headline;
  $("percent").hidden = !r.percent;
  $("percent").firstElementChild.textContent = r.percent || "";
  $("sentence").hidden = !r.sentence;
  $("sentence").textContent = (r.sentence || "").replaceAll("X-ray", "X\u2011ray"); // never "X-" at a line's end
  $("readers").replaceChildren(...(r.readers || []).map((one) => reader(one, (r.readers || []).length > 1)));
  $("about").textContent = r.key ? about(r) : "";
  $("nothing").hidden = Boolean(r.picture) || r.outcome === "none";
  load($("picture"), r.picture, r.key);
  load($("overlay"), r.map, r.key);
  $("picture").alt = r.picture ? `X-ray of the result ${r.id}` : "";
  $("controls").hidden = !r.map;
}

// A picture is hidden until it is there, so that the one before never stands
// beside another one's answer; the heatmap until both are.
function load(image, address, key) {
  image.dataset.ready = "";
  image.onload = () => {
    if (key !== shown) return;
    image.dataset.ready = key;
    reveal();
  };
  if (address) {
    image.src = address;
  } else {
    image.removeAttribute("src");
  }
  reveal();
}

function reveal() {
  const picture = $("picture");
  const overlay = $("overlay");
  const there = Boolean(shown) && picture.dataset.ready === shown;
  if (there) $("film").style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
  picture.hidden = !there;
  overlay.hidden = !(there && heat && overlay.dataset.ready === shown);
}

function about(r) {
  const parts = [clock(r.finished), `result ${r.id}`];
  if (r.models && r.models.length) parts.push(r.models.join(" and "));
  if (r.code) parts.push(r.code);
  return parts.join(" · ");
}

function reader(one, several) {
  const item = element("li");
  if (several) {
    const head = element("h3", "", `${one.model}: `);
    head.append(element("b", "", `${one.label} ${one.percent}`));
    item.append(head);
  }
  const classes = element("div", "classes");
  for (const c of one.classes) {
    const mine = c.label === one.label ? " mine" : "";
    const fill = element("div", "fill");
    fill.style.width = `${100 * c.probability}%`;
    const track = element("div", "track" + mine);
    track.append(fill);
    classes.append(element("span", mine, c.label), track, element("span", "value" + mine, c.percent));
  }
  item.append(classes);
  return item;
}

function renderRecent() {
  const list = $("recent");
  const focused = [...list.children].indexOf(document.activeElement.closest("li"));
  list.replaceChildren(...state.results.map((r, i) => {
    const button = element("button", r.outcome);
    button.type = "button";
    const time = element("time", "", clock(r.finished));
    time.dateTime = r.finished;
    button.append(time, element("span", "what", r.headline), element("span", "value", r.percent || r.code || ""));
    if (i === at) button.setAttribute("aria-current", "true");
    button.onclick = () => look(i);
    const item = element("li");
    item.append(button);
    return item;
  }));
  // The list is made anew at each event; whoever stands in it by keyboard stays.
  if (focused >= 0 && focused < list.children.length) list.children[focused].firstElementChild.focus();
}

function element(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className.trim();
  if (text) e.textContent = text;
  return e;
}

// clock says the time of day, and the day when it is not today.
function clock(time) {
  const t = new Date(time);
  const day = t.toDateString() === new Date().toDateString() ? "" : t.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + " ";
  return day + t.toLocaleTimeString("en-GB");
}

// Hands

function look(i) {
  if (!state || !state.results.length) return;
  at = Math.max(0, Math.min(i, state.results.length - 1));
  render();
  const current = $("recent").querySelector("[aria-current]");
  current.scrollIntoView({ block: "nearest" });
  clearTimeout(idle);
  if (at > 0) idle = setTimeout(() => look(0), lookBack);
}

function setOpacity(percent) {
  const value = Math.max(0, Math.min(100, percent));
  $("opacity").value = value;
  $("percentage").textContent = `${value} %`;
  $("overlay").style.opacity = value / 100;
}

function setHeat(on) {
  heat = on;
  $("toggle").setAttribute("aria-pressed", String(on));
  reveal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const step = {
    h: () => setHeat(!heat),
    ArrowLeft: () => setOpacity(Number($("opacity").value) - 5),
    ArrowRight: () => setOpacity(Number($("opacity").value) + 5),
    ArrowUp: () => look(at - 1),
    ArrowDown: () => look(at + 1),
    Home: () => look(0),
    End: () => look(Infinity),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!step) return;
  event.preventDefault(); // or a focused slider would move a second time
  step();
});
$("opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));
$("toggle").addEventListener("click", () => setHeat(!heat));
$("latest").addEventListener("click", () => look(0));

setOpacity(60);
connect();
