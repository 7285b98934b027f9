"use strict";
// What the server tells is drawn here: pings as dots, reports as bars, both lanes on the same axes.

const WINDOW_S = 30;
const LOW_MS = 1;
const HIGH_MS = 10000;
const TICKS_MS = [1, 10, 100, 1000, 10000];
const BARS = 6;
const BAR_PX = 7;
const LEFT_PX = 64;

const token = document.querySelector("meta[name=token]").content;
const lanes = {};
let nowS = 0;
let heardAt = performance.now();

for (const name of ["naive", "fixed"]) {
  const section = document.getElementById(name);
  lanes[name] = {
    name,
    section,
    canvas: section.querySelector("canvas"),
    pings: [],
    waiting: [],
    reports: new Map(),
    failed: 0,
  };
}

function find(lane, style) {
  return lane.section.querySelector(`.${style}`);
}

function said(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

// --- what the server tells ---

function hear(event) {
  if (event.pings) hearPings(event);
  if (event.report) hearReport(event.report);
  if (event.loop) hearLoop(event.loop);
  if ("depth" in event) find(lanes.fixed, "depth").textContent = event.depth ?? "not known";
  if ("killed" in event) {
    say(event.killed ? "The worker was killed. Another one starts." : "There is no worker now.");
  }
}

function hearPings(event) {
  nowS = event.now_s;
  heardAt = performance.now();
  for (const [name, { ended, waiting }] of Object.entries(event.pings)) {
    const lane = lanes[name];
    lane.pings.push(...ended);
    lane.pings = lane.pings.filter(([dueS]) => dueS > nowS - WINDOW_S);
    lane.waiting = waiting;
    lane.failed += ended.filter(([, ms]) => ms === null).length;
    showFigures(lane);
  }
}

function showFigures(lane) {
  // A ping that still waits has taken at least so long.
  const waited = lane.waiting.map((dueS) => 1000 * (nowS - dueS));
  const times = [...lane.pings.map(([, ms]) => ms ?? Infinity), ...waited].sort((a, b) => a - b);
  const at = (share) => times[Math.max(Math.ceil(share * times.length) - 1, 0)];
  const show = (ms) => (ms === undefined ? "–" : ms === Infinity ? "never" : said(ms));
  find(lane, "p99").textContent = show(at(0.99));
  find(lane, "slowest").textContent = show(at(1));
  find(lane, "failed").textContent = lane.failed;
}

function hearReport(report) {
  const lane = lanes[report.lane];
  lane.reports.set(report.number, report);
  const states = [...lane.reports.values()].map((each) => each.state);
  find(lane, "ordered").textContent = states.length;
  find(lane, "ready").textContent = states.filter((state) => state === "ready").length;
  if (report.state === "failed") say(`A report of ${report.lane} failed: ${report.why ?? "see its logs"}`);
}

function hearLoop(loop) {
  const lane = lanes[loop.lane];
  find(lane, "lag").textContent = said(loop.lag_ms);
  if (loop.culprit) find(lane, "culprit").textContent = `held the loop: ${loop.culprit}`;
}

function say(text) {
  document.getElementById("said").textContent = text;
}

// --- drawing ---

function draw() {
  for (const lane of Object.values(lanes)) drawLane(lane);
  requestAnimationFrame(draw);
}

function drawLane(lane) {
  const canvas = lane.canvas;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const now = nowS + (performance.now() - heardAt) / 1000;
  const bottom = height - BARS * BAR_PX - 8;
  const x = (s) => LEFT_PX + ((s - now + WINDOW_S) / WINDOW_S) * (width - LEFT_PX - 8);
  const y = (ms) => {
    const share = Math.log(Math.min(Math.max(ms, LOW_MS), HIGH_MS) / LOW_MS) / Math.log(HIGH_MS / LOW_MS);
    return bottom - share * (bottom - 10);
  };
  pen.font = "13px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const ms of TICKS_MS) {
    pen.strokeStyle = color("--grid");
    pen.beginPath();
    pen.moveTo(LEFT_PX, y(ms));
    pen.lineTo(width - 8, y(ms));
    pen.stroke();
    pen.fillStyle = color("--dim");
    pen.fillText(ms < 1000 ? `${ms} ms` : `${ms / 1000} s`, LEFT_PX - 8, y(ms));
  }
  pen.save();
  pen.beginPath();
  pen.rect(LEFT_PX, 0, width - LEFT_PX, height);
  pen.clip();
  const own = color(`--${lane.name}`);
  for (const [dueS, ms] of lane.pings) {
    if (ms === null) cross(pen, x(dueS), 10, color("--late"));
    else dot(pen, x(dueS), y(ms), own);
  }
  for (const dueS of lane.waiting) {
    const ms = 1000 * (now - dueS);
    if (ms > 50) ring(pen, x(dueS), y(ms), color("--late"));
  }
  drawReports(pen, lane, { now, x, top: bottom + 6, own, late: color("--late") });
  pen.restore();
}

function drawReports(pen, lane, { now, x, top, own, late }) {
  for (const [number, report] of lane.reports) {
    const endS = report.finished_s ?? now;
    const isOver = report.state === "ready" || report.state === "failed";
    if (isOver && endS < now - WINDOW_S) continue;
    const y = top + BAR_PX * (number % BARS);
    const startedS = report.started_s ?? (report.state === "building" ? report.due_s : null);
    pen.fillStyle = report.state === "failed" ? late : own;
    pen.globalAlpha = 0.35;
    pen.fillRect(x(report.due_s), y, Math.max(x(startedS ?? endS) - x(report.due_s), 2), BAR_PX - 2);
    pen.globalAlpha = 1;
    if (startedS !== null && startedS !== undefined) {
      pen.fillRect(x(startedS), y, Math.max(x(endS) - x(startedS), 2), BAR_PX - 2);
    }
  }
}

function dot(pen, x, y, color) {
  pen.fillStyle = color;
  pen.beginPath();
  pen.arc(x, y, 2.2, 0, 2 * Math.PI);
  pen.fill();
}

function ring(pen, x, y, color) {
  pen.strokeStyle = color;
  pen.beginPath();
  pen.arc(x, y, 3, 0, 2 * Math.PI);
  pen.stroke();
}

function cross(pen, x, y, color) {
  pen.strokeStyle = color;
  pen.beginPath();
  pen.moveTo(x - 4, y - 4);
  pen.lineTo(x + 4, y + 4);
  pen.moveTo(x + 4, y - 4);
  pen.lineTo(x - 4, y + 4);
  pen.stroke();
}

// --- the buttons ---

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Offloop-Token": token },
    body: JSON.stringify(body),
  });
  say(answer.ok ? "" : await answer.text());
}

function order(lane, count) {
  const size = document.getElementById("size").value;
  return ask("/order", { lane, size, count: Number(count) });
}

for (const button of document.querySelectorAll("button[data-lane]")) {
  button.addEventListener("click", () => order(button.dataset.lane, button.dataset.count));
}
document.getElementById("kill").addEventListener("click", () => ask("/kill", {}));
document.getElementById("way")?.addEventListener("change", (event) => {
  say("Starting it …");
  ask("/way", { way: event.target.value });
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") order("naive", 1);
  if (event.key === "f") order("fixed", 1);
  if (event.key === "k") ask("/kill", {});
});

const events = new EventSource("/events");
events.addEventListener("message", (message) => hear(JSON.parse(message.data)));
events.addEventListener("error", () => say("The lab does not answer. Is `offloop live` still running?"));
events.addEventListener("open", () => say(""));
window.offloop = { lanes };
requestAnimationFrame(draw);
