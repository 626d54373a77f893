// Theme before the first paint; then sortable tables and the two buttons. MathJax's settings, for when it loads.
window.MathJax = { tex: { inlineMath: [["$", "$"]], processEscapes: true }, options: { skipHtmlTags: ["script", "noscript", "style", "textarea", "pre", "code"] } };
(() => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const paint = () => {
    root.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
    const button = document.querySelector("[data-does=theme]");
    if (button) button.textContent = root.dataset.theme === "dark" ? "Light" : "Dark";
  };
  paint();
  dark.addEventListener("change", paint);

  const number = (text) => {
    const value = parseFloat(text.replace(/,/g, "").replace("−", "-"));
    return Number.isNaN(value) ? null : value;
  };
  const before = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return x - y;
    return (x === null) - (y === null) || a.localeCompare(b);
  };

  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows];
    [...body.rows].forEach((row) => [...row.cells].forEach((cell) => { // a sparse index, written out
      const span = cell.rowSpan;
      cell.rowSpan = 1;
      for (let down = 1, at = row; down < span; down++) {
        at = at.nextElementSibling;
        at.insertBefore(cell.cloneNode(true), at.cells[cell.cellIndex] ?? null);
      }
    }));
    const rows = [...body.rows], width = Math.max(...rows.map((row) => row.cells.length));
    for (let column = 0; column < width; column++) {
      const head = heads.filter((row) => row.cells.length === width).map((row) => row.cells[column])
        .reverse().find((cell) => cell.textContent.trim());
      if (!head) continue;
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        rows.sort((a, b) => (up ? 1 : -1) * before(a.cells[column].textContent, b.cells[column].textContent));
        body.append(...rows);
      });
    }
    table.querySelectorAll("thead th").forEach((cell) => { // an empty header is none
      if (!cell.textContent.trim()) cell.replaceWith(document.createElement("td"));
    });
  }

  function hint(region) { // a class while something is out of sight on the right
    const look = () => {
      const hidden = region.scrollWidth - region.clientWidth - region.scrollLeft;
      region.classList.toggle("more", hidden > 4);
    };
    region.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(region);
  }

  const does = {
    theme: () => { chosen = root.dataset.theme === "dark" ? "light" : "dark"; paint(); },
    code: (button) => {
      const open = button.textContent === "Show code";
      document.querySelectorAll("details").forEach((code) => { code.open = open; });
      button.textContent = open ? "Hide code" : "Show code";
    },
  };
  document.addEventListener("DOMContentLoaded", () => {
    paint();
    document.querySelectorAll("table.dataframe").forEach(sortable);
    document.querySelectorAll(".wide").forEach(hint);
    document.querySelectorAll("button[data-does]").forEach((button) => {
      button.hidden = button.dataset.does === "code" && !document.querySelector("details");
      button.addEventListener("click", () => does[button.dataset.does](button));
    });
  });
})();
