// What changed between two runs.
const wordsChosen = new Set();
function prepareDifference() {}
