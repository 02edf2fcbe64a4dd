import { type Answer, type Replay, type Topic, textAt } from '../replay.ts';

const RACERS = 20;
const LEVELS = ['conc1', 'x', 'y'];
const numbers = Array.from({ length: RACERS }, (_, i) => i);

/** Which of the recorded answers a racer gets differs from run to run; that it gets one of them doesn't. */
export const concurrency: Topic = {
  title: 'requests that race get one of the recorded answers',
  async run(replay) {
    for (const round of [1, 2, 3]) {
      const namespace = [`conc${round}`, 'x', 'y'];
      const scenario = `conc-create-20-tables-new-ns-round${round}`;
      await race((i) => {
        const file = replay.metadata(`ext/${namespace.join('/')}/t${i}`);
        return replay.notify(scenario, [namespace, `t${i}`], 'CREATE', { timestamp: 1, file });
      });
    }
    for (const round of [1, 2, 3]) await updatesOfOneTable(replay, round);
    await oneName(replay);
    await race((i) => {
      const file = replay.metadata(`ext/fan/n${i}/t`);
      const table = [['fan', `n${i}`], 't'] as const;
      return replay.notify('conc-create-20-child-ns-same-new-parent', table, 'CREATE', { timestamp: 1, file });
    });
  },
};

const race = (run: (i: number) => Promise<Answer>): Promise<Answer[]> => Promise.all(numbers.map(run));

/** Whatever the answers are, the newest admitted state is served. */
async function updatesOfOneTable(replay: Replay, round: number): Promise<void> {
  const table = [LEVELS, 't0'] as const;
  const first = replay.metadata('ext/conc1/x/y/t0');
  await replay.notify('', table, 'UPDATE', { timestamp: round * 1000, file: first });
  const files = numbers.map((i) => replay.metadata('ext/conc1/x/y/t0', { uuid: first.uuid, version: i + 1 }));
  const answers = await race((i) => {
    const payload = { timestamp: round * 1000 + i + 1, file: files[i] ?? first };
    return replay.notify(`conc-update-20-same-table-round${round}`, table, 'UPDATE', payload, { raced: true });
  });
  const newest = files[answers.findLastIndex(({ status }) => status === 204)]?.uri;
  const served = textAt(await replay.load('conc-update-final-load', table), 'metadata-location');
  replay.expect('conc-update-final-load', 'serves the newest admitted state', served === newest);
}

async function oneName(replay: Replay): Promise<void> {
  const table = [LEVELS, 'same'] as const;
  const file = replay.metadata('ext/conc1/x/y/same');
  const raced = { raced: true };
  const created = await race(() =>
    replay.notify('conc-create-20-same-new-table-same-ts', table, 'CREATE', { timestamp: 1, file }, raced),
  );
  const admitted = created.filter(({ status }) => status === 204).length;
  replay.expect('conc-create-20-same-new-table-same-ts', 'admits exactly one', admitted === 1);
  await race(() => replay.notify('conc-drop-20-same-table', table, 'DROP', { timestamp: 2, file }));
  await race((i) => {
    const type = i % 2 === 0 ? 'CREATE' : 'DROP';
    return replay.notify('conc-mixed-create-drop-same-table', table, type, { timestamp: 10 + i, file }, raced);
  });
}
