// Each chart is in the page as a picture; when it comes into view, the same one that answers the pointer takes its place.
// fgbench.report.charts bundles this with the libraries, which give `vegaEmbed`.
const draw = async (figure) => {
  const drawing = figure.querySelector(".drawing");
  const picture = [...drawing.childNodes];
  const live = document.createElement("div");
  live.ariaHidden = "true"; // The drawing around it has the label.
  try {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    drawing.replaceChildren(live);
    // Vega's own expressions are interpreted, not compiled: the page's policy has no `unsafe-eval`.
    await vegaEmbed(live, spec, { renderer: "svg", actions: false, ast: true });
    figure.classList.add("live");
  } catch (error) {
    drawing.replaceChildren(...picture);
    console.error(error);
  }
};
const watch = new IntersectionObserver((seen) => {
  for (const one of seen) {
    if (!one.isIntersecting) continue;
    watch.unobserve(one.target);
    draw(one.target);
  }
});
document.querySelectorAll("figure.chart").forEach((figure) => watch.observe(figure));
