// node --import stepping-clock.ts: with every SIGUSR2 the wall clock of this process is set to be wrong by the next of these,
// as an operator or a time service sets a machine's. What is measured with the other clock goes on.

const DAY_MS = 86_400_000;
const WRONG_BY_MS = [DAY_MS, -DAY_MS, 20 * 365 * DAY_MS, -20 * 365 * DAY_MS];

const right = Date.now.bind(Date);
let [wrongByMs, steps] = [0, 0];
Date.now = () => right() + wrongByMs;

process.on('SIGUSR2', () => {
  wrongByMs = WRONG_BY_MS[steps % WRONG_BY_MS.length] ?? 0;
  steps += 1;
  process.stderr.write(`${JSON.stringify({ event: 'clock-stepped', wrongByMs, steps })}\n`);
});
