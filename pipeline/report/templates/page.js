"use strict";
// Of plotly's buttons only those that stay on this machine: its standard set has one that uploads the data.
const config = {
  responsive: true,
  displaylogo: false,
  plotlyServerURL: "",
  modeBarButtons: [["toImage", "resetCameraDefault3d"]],
};
const shown = new Map();
// Figures in folded parts have no size yet: they are drawn when they are first seen.
const folded = new Map();

for (const script of document.querySelectorAll("script[data-figure]")) {
  const figure = JSON.parse(script.textContent);
  const box = document.getElementById(script.dataset.figure);
  const draw = () => {
    shown.set(box, Plotly.newPlot(box, figure.data, figure.layout, {...config, displayModeBar: "scene" in figure.layout}));
  };
  const fold = box.closest("details");
  if (fold && !fold.open) folded.set(box, draw);
  else draw();
}

function drawUnfolded() {
  for (const [box, draw] of folded) {
    if (!box.closest("details").open) continue;
    folded.delete(box);
    draw();
  }
}
for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", drawUnfolded);

// A canvas of WebGL comes out empty on paper: keep a picture of the scene for it.
for (const box of shown.keys()) {
  shown.get(box).then(() => {
    if (!box.layout.scene) return;
    const picture = document.createElement("img");
    picture.className = "print-only";
    picture.alt = "";
    box.after(picture);
    const draw = () => Plotly.toImage(box, {format: "png", width: 900, height: 640, scale: 2}).then(
      (url) => { picture.src = url; },
      () => picture.remove(),
    );
    box.on("plotly_relayout", draw);
    draw();
  });
}

for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    for (const box of shown.keys()) {
      const traces = box.data.map((trace, i) => (trace.legendgroup === button.dataset.group ? i : -1)).filter((i) => i >= 0);
      if (traces.length) Plotly.restyle(box, {visible: on}, traces);
    }
  });
}

// Maps have few occupied cells: full tables are made of them here.
function filled(figure) {
  for (const trace of figure.data) {
    if (!trace.cells) continue;
    const {shape: [rows, columns], at, z, text} = trace.cells;
    const table = () => Array.from({length: rows}, () => new Array(columns).fill(null));
    trace.z = table();
    trace.text = table();
    at.forEach((cell, i) => {
      trace.z[Math.floor(cell / columns)][cell % columns] = z[i];
      trace.text[Math.floor(cell / columns)][cell % columns] = text[i];
    });
    delete trace.cells;
  }
  return figure;
}

// The figures and tables of the chosen fit, at its end or at its start.
const chosenFit = document.getElementById("choose-fit");
const chosenStage = document.getElementById("choose-stage");
function choose() {
  const key = `${chosenFit.value}-${chosenStage.value}`;
  for (const part of document.querySelectorAll(".choice")) part.hidden = part.dataset.key !== key;
  const script = document.querySelector(`script[data-choice="${key}"]`);
  const figures = script ? JSON.parse(script.textContent) : {};
  for (const box of document.querySelectorAll(".figure[id^='figure-map-'], .figure[id^='figure-histogram-']")) {
    const figure = figures[box.id] ? filled(figures[box.id]) : {data: [], layout: {}};
    shown.set(box, Plotly.react(box, figure.data, figure.layout, {...config, displayModeBar: false}));
  }
}
if (chosenFit) {
  for (const list of [chosenFit, chosenStage]) list.addEventListener("change", choose);
  choose();
}

// A link to a folded fit unfolds it.
function unfold() {
  const box = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (box instanceof HTMLDetailsElement) box.open = true;
}
addEventListener("hashchange", unfold);
unfold();

// Paper cannot be unfolded.
addEventListener("beforeprint", () => {
  for (const box of document.querySelectorAll("#results details, #cost details")) box.open = true;
  drawUnfolded();
  for (const box of shown.keys()) Plotly.Plots.resize(box);
});
