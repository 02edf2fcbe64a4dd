import type { Command } from 'commander';
import { Frame } from '../../src/cli/frame.ts';
import { createProgram } from '../../src/cli/program.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { heading } from './markdown.ts';

/** The help of every command, as it is printed at 80 columns. */
export async function cliPage(): Promise<string> {
  const silent = { write: () => true };
  const frame = new Frame({
    stdout: silent,
    stderr: silent,
    env: {},
    signals: { on: () => {}, off: () => {} },
    clock: systemClock,
    random: seededRandom(0),
    exit: () => {},
  });
  const program = await createProgram(frame, () => true);
  return `${[heading('Command line'), ...sections(program, '')].join('\n').trimEnd()}\n`;
}

function sections(command: Command, above: string): readonly string[] {
  const name = `${above}${command.name()}`;
  return [
    `## ${name}\n`,
    `\`\`\`\n${helpOf(command)}\`\`\`\n`,
    ...command.commands.filter((child) => child.name() !== 'help').flatMap((child) => sections(child, `${name} `)),
  ];
}

/** With what `addHelpText` adds, which `helpInformation` lacks. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 80,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text;
}
