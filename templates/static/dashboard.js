// Draws the chart of the dashboard and renews the page every ten seconds, for weeks if need be.
"use strict";

const EVERY_MS = 10000;
const PARTS = ["live-figures", "live-rest"];
const stale = document.getElementById("stale");
const canvas = document.getElementById("chart");
let chart = null;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function paint() {
  const accent = colour("--accent");
  const muted = colour("--muted");
  const line = colour("--line");
  const dataset = chart.data.datasets[0];
  dataset.borderColor = accent;
  dataset.backgroundColor = accent + "33";
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = muted;
    scale.grid.color = line;
  }
  chart.update("none");
}

function draw(metrics) {
  const { labels, data } = metrics.chart_24h;
  if (chart === null) {
    chart = new Chart(canvas, {
      type: "line",
      data: { labels, datasets: [{ data, fill: true, tension: 0.25, pointRadius: 2, borderWidth: 2 }] },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        plugins: { legend: { display: false } },
        scales: { x: { ticks: {}, grid: {} }, y: { beginAtZero: true, ticks: {}, grid: {} } },
      },
    });
  } else {
    chart.data.labels = labels;
    chart.data.datasets[0].data = data;
  }
  paint();
}

async function get(address) {
  const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
  if (answer.redirected || answer.status === 401) {
    // The session has ended.
    location.reload();
  }
  if (!answer.ok) {
    throw new Error(`${address}: ${answer.status}`);
  }
  return answer;
}

async function renew() {
  if (document.hidden) {
    return;
  }
  try {
    const [metrics, fragment] = await Promise.all([
      get("/api/v1/metrics").then((answer) => answer.json()),
      get("/dashboard/live").then((answer) => answer.text()),
    ]);
    if (canvas !== null) {
      draw(metrics);
    }
    // What has the focus or a selection is left alone until the next time.
    const fresh = new DOMParser().parseFromString(fragment, "text/html");
    for (const id of PARTS) {
      const part = document.getElementById(id);
      if (!part.contains(document.activeElement) && getSelection().isCollapsed) {
        part.replaceChildren(...fresh.getElementById(id).childNodes);
      }
    }
    stale.textContent = "";
    stale.className = "muted";
  } catch (error) {
    if (stale.textContent === "") {
      stale.textContent = `No answer since ${new Date().toISOString().slice(11, 19)} UTC; trying again.`;
      stale.className = "problem";
    }
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart !== null && paint());
document.addEventListener("visibilitychange", renew);
renew();
setInterval(renew, EVERY_MS);
