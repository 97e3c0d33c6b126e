const numbers = [2, 3, 4, 5, 6, 7];
window.$("#layer-table").DataTable({
  paging: false,
  autoWidth: false,
  order: [],
  layout: { topStart: "search", topEnd: "info", bottomStart: null, bottomEnd: null },
  columnDefs: [{ targets: numbers, searchable: false, orderSequence: ["desc", "asc", ""] }],
  language: {
    search: "Filter by name or verdict",
    info: "_TOTAL_ layers",
    infoEmpty: "no layer",
    infoFiltered: "of _MAX_",
    zeroRecords: "No layer matches.",
  },
});
