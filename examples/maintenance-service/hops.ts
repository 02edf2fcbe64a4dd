import type { Handled } from './service.ts';

/** What an event went through, in ms; undefined where it isn't known. */
export type Hops = {
  /** From the commit in the source to Polaris's answer to the notification. */
  readonly visible: number | undefined;
  /** From there to the event's arrival here. */
  readonly received: number;
  /** From there to the policies, out of the cache or by a request. */
  readonly policies: number | undefined;
  /** From there to the decision: table loaded, compaction planned. */
  readonly decided: number;
  readonly total: number | undefined;
};

/** The clocks are the source's, the agent's and this machine's; where they differ, so do these. */
export function hopsOf({ event, receivedAt, policiesAt, decidedAt }: Handled): Hops {
  const admittedAt = Date.parse(event.time);
  const visible = event.data['commit-to-visible-ms'];
  return {
    visible,
    received: receivedAt - admittedAt,
    policies: policiesAt === undefined ? undefined : policiesAt - receivedAt,
    decided: decidedAt - (policiesAt ?? receivedAt),
    total: visible === undefined ? undefined : visible + (decidedAt - admittedAt),
  };
}
