// Does nothing: what remains is the platform's own time.
function main(args) {
  return {};
}
