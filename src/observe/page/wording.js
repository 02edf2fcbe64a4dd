/** Numbers and times in words, as the command line writes them. */

export const number = (amount) => amount.toLocaleString('en');

export const count = (amount, noun) => `${number(amount)} ${noun}${amount === 1 ? '' : 's'}`;

/** `840 ms`, `3.2 s`, `12 min`, `3 h 5 min`: two figures that say something. */
export function duration(ms) {
  if (ms < 1000) return `${ms < 10 && ms !== 0 ? ms.toFixed(1).replace('.0', '') : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return rest === 0 || hours >= 12 ? `${hours} h` : `${hours} h ${rest} min`;
  return `${Math.round(hours / 24)} d`;
}

/** As `duration`, in whole seconds at least. */
export const seconds = (ms) => duration(Math.floor(ms / 1000) * 1000).replace('.0', '');

/** From a time in ISO 8601 to `now`, epoch ms. */
export function since(at, now) {
  const ms = Math.max(0, now - Date.parse(at));
  return ms < 1000 ? 'just now' : `${seconds(ms)} ago`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(amount) {
  let [value, unit] = [amount, 0];
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace('.0', '')} ${UNITS[unit]}`;
}
