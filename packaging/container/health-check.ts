// The HEALTHCHECK of the image: exits with 0 while the agent of this container says that its loops make progress.
// POLARIS_PUSH_HEALTH is the address, where http.listen isn't port 9184.
const address = process.env['POLARIS_PUSH_HEALTH'] ?? 'http://127.0.0.1:9184/livez';
try {
  const response = await fetch(address, { signal: AbortSignal.timeout(4_000) });
  // Docker and Podman keep what is printed: `docker inspect` shows it.
  process.stdout.write(`${response.status} ${(await response.text()).slice(0, 2_000)}\n`);
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  const { message, cause } = error as Error & { cause?: { code?: string } };
  process.stdout.write(`${address}: ${cause?.code ?? message}; is http.listen set?\n`);
  process.exitCode = 1;
}
