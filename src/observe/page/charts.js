import { state } from './agent.js';
import { byId, el, now } from './elements.js';
import { BYTE_STEPS, chart, COUNT_STEPS, TIME_STEPS } from './lag-chart.js';
import { bytes, duration, number } from './wording.js';

/** Draws all charts of the page anew from the history, as wide as their places are. */
export function drawCharts() {
  const { points } = state.history;
  const times = points.map(({ at, lag_ms: ms, lag_bytes: size, targets }) => ({
    at: Date.parse(at),
    ms,
    size,
    targets,
  }));
  const place = byId('lag-chart');
  if (place !== null) {
    const inTime = times.some(({ ms }) => ms !== undefined);
    const values = times.map(({ at, ms, size }) => ({ at, value: inTime ? ms : size }));
    const known = values.filter(({ value }) => value !== undefined);
    const show = inTime ? (ms) => (ms === 0 ? '0 s' : duration(ms).replace('.0', '')) : bytes;
    const most = Math.max(0, ...known.map(({ value }) => value));
    const label = `Lag over the last hour: now ${show(known.at(-1)?.value ?? 0)}, at most ${show(most)}`;
    const options = {
      now: now(),
      width: place.clientWidth,
      height: 150,
      axes: true,
      show,
      label,
      steps: inTime ? TIME_STEPS : BYTE_STEPS,
    };
    if (known.length > 0) place.replaceChildren(el('h3', {}, 'Lag over the last hour'), chart(values, options));
    else place.replaceChildren();
  }
  for (const spark of document.querySelectorAll('.spark')) {
    const name = spark.getAttribute('data-target');
    const values = times.map(({ at, targets }) => ({ at, value: targets[name]?.per_second }));
    const most = Math.max(0, ...values.map(({ value }) => value ?? 0));
    const label = `Notifications over the last hour, at most ${perSecond(most)}`;
    spark.replaceChildren(
      chart(values, {
        now: now(),
        width: spark.clientWidth,
        height: 36,
        axes: false,
        show: perSecond,
        label,
        steps: COUNT_STEPS,
      }),
      el('p', { class: 'quiet' }, `throughput over the last hour, at most ${number(most)}/s`),
    );
  }
}

const perSecond = (rate) => `${number(rate)} a second`;
