/** One instruction: `RUN`, its flags (`--from=build`), and the rest as it was written, continued lines joined. */
export type Instruction = {
  readonly keyword: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly text: string;
  /** Of a JSON array, such as that of ENTRYPOINT; undefined where the text isn't one. */
  readonly array?: readonly string[] | undefined;
};

/** What is between one FROM and the next; `name` is what follows AS. */
export type Stage = {
  readonly image: string;
  readonly name?: string | undefined;
  readonly instructions: readonly Instruction[];
};

export type Containerfile = { readonly global: readonly Instruction[]; readonly stages: readonly Stage[] };

const KEYWORDS = new Set(
  'ARG FROM RUN COPY WORKDIR LABEL ENV USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD'.split(' '),
);

/** Reads the part of the language that ours uses; throws `SyntaxError` for anything else. */
export function parseContainerfile(text: string): Containerfile {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  const joined = lines.join('\n').replaceAll(/\s*\\\n\s*/g, ' ');
  const global: Instruction[] = [];
  const stages: { image: string; name?: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of joined.split('\n')) {
    const instruction = instructionOf(line);
    const [image = '', as, name] = instruction.text.split(' ');
    if (instruction.keyword === 'FROM') {
      if (as !== undefined && as !== 'AS') throw new SyntaxError(`FROM with ${as}`);
      stages.push({ image, name, instructions: [] });
    } else (stages.at(-1)?.instructions ?? global).push(instruction);
  }
  return { global, stages };
}

function instructionOf(line: string): Instruction {
  const [, keyword = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
  if (!KEYWORDS.has(keyword)) throw new SyntaxError(`no instruction: ${line}`);
  const flags: Record<string, string> = {};
  const text = rest.replace(/^(--[a-z-]+=\S+\s+)+/, (found) => {
    for (const [, key = '', value = ''] of found.matchAll(/--([a-z-]+)=(\S+)/g)) flags[key] = value;
    return '';
  });
  const written = keyword === 'HEALTHCHECK' ? text.replace(/^CMD\s+/, '') : text;
  return { keyword, flags, text, array: written.startsWith('[') ? (JSON.parse(written) as string[]) : undefined };
}

/** The only instruction of this kind in a stage; throws if there are none or several. */
export function single({ instructions }: Stage, keyword: string): Instruction {
  const [found, ...more] = instructions.filter((instruction) => instruction.keyword === keyword);
  if (found === undefined || more.length > 0) throw new RangeError(`expected one ${keyword}, found ${more.length + 1}`);
  return found;
}

/** What the paths of an ignore file that begins with `*` let into the build. */
export const allowedPaths = (ignore: string): readonly string[] => {
  const lines = ignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (lines[0] !== '*') throw new SyntaxError('expected * first: only what is named may get in');
  return lines.slice(1).map((line) => {
    if (!line.startsWith('!')) throw new SyntaxError(`expected only exceptions after *, got ${line}`);
    return line.slice(1);
  });
};
