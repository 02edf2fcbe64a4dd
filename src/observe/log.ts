import { pino } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { Log, LogFields } from '../runtime/log.ts';
import type { Secrets } from '../runtime/secrets.ts';
import { loggable } from './loggable.ts';
import { RepeatLimit } from './repeat-limit.ts';
import { textLine } from './text-line.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'text';

export type LogOptions = {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; standard error, but for tests. */
  readonly stream: { write(text: string): unknown };
  /** Escape codes for colours in the text format. */
  readonly colours?: boolean | undefined;
  readonly secrets: Secrets;
  readonly clock: Clock;
};

/**
 * The log of this process: one line per event. Secrets are masked wherever they stand, and a warning or error that
 * repeats is written a few times a minute only, with a count of what was left out (`log-repeats`).
 */
export function createLog(options: LogOptions): Log {
  const { stream, secrets, clock } = options;
  const write =
    options.format === 'json'
      ? (line: string) => stream.write(line)
      : (line: string) => stream.write(textLine(JSON.parse(line) as Line, options.colours === true));
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Fields are made safe below, where the whole line is known; pino has nothing left to turn into text.
      serializers: {},
    },
    { write },
  );
  const limit = new RepeatLimit(clock);
  const withStacks = options.level === 'debug';

  const at = (bindings: LogFields): Log => {
    const line =
      (level: LogLevel) =>
      (event: string, fields: LogFields = {}) => {
        if (!logger.isLevelEnabled(level)) return;
        for (const { event: repeated, left } of limit.due()) logger.warn({ of: repeated, left }, 'log-repeats');
        if ((level === 'warn' || level === 'error') && !limit.admits(event)) return;
        logger[level](loggable({ ...bindings, ...fields }, { secrets, withStacks }), event);
      };
    return {
      debug: line('debug'),
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
      child: (fields) => at({ ...bindings, ...fields }),
    };
  };
  return at({});
}

type Line = { readonly level: LogLevel; readonly time: string; readonly event: string };
