// Each chart is an SVG in the page. When it comes into view, an interactive chart replaces it.
// fgbench/report/html/charts.py bundles this file with the libraries, which define `vegaEmbed`.
const draw = async (figure) => {
  const drawing = figure.querySelector(".drawing");
  const svg = [...drawing.childNodes];
  const chart = document.createElement("div");
  chart.ariaHidden = "true"; // The drawing around it has the label.
  try {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    drawing.replaceChildren(chart);
    // `ast`: expressions are interpreted, not compiled, because the policy of the page has no `unsafe-eval`.
    await vegaEmbed(chart, spec, { renderer: "svg", actions: false, ast: true });
    figure.classList.add("live");
  } catch (error) {
    drawing.replaceChildren(...svg);
    console.error(error);
  }
};
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    observer.unobserve(entry.target);
    draw(entry.target);
  }
});
document.querySelectorAll("figure.chart").forEach((figure) => observer.observe(figure));
