/** npm run example -- NAME [--short] [--out FOLDER] */
const KITS: Readonly<Record<string, string>> = {
  federated: 'ten clients of federated learning, three of which poison',
  llm: 'five agents with stand-in models, one of which is jailbroken',
  validators: 'ten services that Prometheus measures for availability, latency and stake',
};

const name = process.argv[2] ?? '';
if (Object.hasOwn(KITS, name)) {
  await import(`./${name}/run.ts`);
} else {
  console.error('usage: npm run example -- NAME [--short] [--out FOLDER], where NAME is one of');
  for (const [one, what] of Object.entries(KITS)) console.error(`  ${one.padEnd(12)}  ${what}`);
  process.exitCode = 2;
}
