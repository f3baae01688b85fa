// JSON echo: takes a document apart and puts it together again, as most small services do.
function main(args) {
  const document = JSON.parse(args.document);
  // As Python's json writes it: with a blank behind each comma and colon.
  const bytes = JSON.stringify(document, null, 1).replace(/\n */g, " ").replace(/([[{]) | ([\]}])/g, "$1$2").length;
  return { document, bytes };
}
