"use strict";
// Of plotly's buttons only those that stay on this machine: its standard set has one that uploads the data.
const config = {
  responsive: true,
  displaylogo: false,
  plotlyServerURL: "",
  modeBarButtons: [["toImage", "resetCameraDefault3d"]],
};
const shown = new Map();

for (const script of document.querySelectorAll("script[data-figure]")) {
  const figure = JSON.parse(script.textContent);
  const box = document.getElementById(script.dataset.figure);
  shown.set(box, Plotly.newPlot(box, figure.data, figure.layout, {...config, displayModeBar: "scene" in figure.layout}));
}

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

// A link to a folded fit unfolds it.
function unfold() {
  const box = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (box instanceof HTMLDetailsElement) box.open = true;
}
addEventListener("hashchange", unfold);
unfold();

// Paper cannot be unfolded.
addEventListener("beforeprint", () => {
  for (const box of document.querySelectorAll("#results details")) box.open = true;
  for (const box of shown.keys()) Plotly.Plots.resize(box);
});
