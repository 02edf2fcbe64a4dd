import type { Topic } from '../replay.ts';

const PATHS = ['/q/health', '/q/health/ready', '/q/health/live', '/q/health/started', '/q/info', '/healthcheck'];

export const health: Topic = {
  title: 'health, on the port of the management interface',
  needs: 'managementUri',
  async run(replay) {
    const base = replay.server.managementUri?.replace(/\/+$/, '');
    for (const path of PATHS) await replay.call(`mgmt${path}`, 'GET', path, { token: null, base });
  },
};
