// The table of layers sorts by a click on a title, and shows the rows whose name or verdict holds what is typed.
const table = document.getElementById("layer-table");
const body = table.tBodies[0];
const rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells];
const isNumber = (cell) => "order" in cell.dataset;
const words = new Map(rows.map((row) =>
  [row, [...row.cells].filter((cell) => !isNumber(cell)).map((cell) => cell.textContent).join(" ").toLowerCase()]));

const bar = document.createElement("div");
bar.className = "filter";
bar.innerHTML = '<label>Filter by name or verdict <input type="search"></label> <output></output>';
table.parentElement.before(bar);
const field = bar.querySelector("input");
const none = document.createElement("tr");
none.innerHTML = `<td colspan="${heads.length}" class="judged">No layer matches.</td>`;

let column = -1;
let order = "";

function show() {
  const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = rows.filter((row) => wanted.every((word) => words.get(row).includes(word)));
  if (order) {
    const value = (row) => isNumber(row.cells[column]) ? +row.cells[column].dataset.order : row.cells[column].textContent;
    const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    shown.sort((a, b) => (order === "ascending" ? 1 : -1) * compare(value(a), value(b)));
  }
  body.replaceChildren(...(shown.length ? shown : [none]));
  const all = rows.length === 1 ? "1 layer" : `${rows.length} layers`;
  bar.querySelector("output").textContent = shown.length === rows.length ? all : `${shown.length} of ${all}`;
}

heads.forEach((head, at) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  const orders = rows.length && isNumber(rows[0].cells[at]) ? ["descending", "ascending", ""] : ["ascending", "descending", ""];
  head.addEventListener("click", () => {
    order = column === at ? orders[(orders.indexOf(order) + 1) % 3] : orders[0];
    column = at;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    if (order) head.setAttribute("aria-sort", order);
    show();
  });
});
field.addEventListener("input", show);
show();
