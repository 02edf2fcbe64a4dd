/** What this page knows of the agent, and how it asks. */

export const state = {
  status: undefined,
  history: { every_ms: 10_000, points: [] },
  /** When the last news came, by this machine's clock. */
  lastNews: 0,
  /** The admin token; forgotten when the page is left. */
  token: undefined,
};

export const get = (path) => ask(path, {});

/** Orders something with the admin token. */
export const post = (path, body) =>
  ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-admin-token': state.token },
    body: JSON.stringify(body),
  });

/** The answer's JSON; `{ error }` if there is none. */
async function ask(path, options) {
  try {
    const response = await fetch(`api/v1/${path}`, options);
    const isJson = response.headers.get('content-type') === 'application/json';
    return isJson ? await response.json() : { error: `${response.status}: ${(await response.text()).trim()}` };
  } catch {
    return { error: 'The agent does not answer.' };
  }
}
