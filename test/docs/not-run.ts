/** Blocks that no test runs, by their first line, and why. */
export const NOT_RUN: Readonly<Record<string, string>> = {
  'npm ci': 'it replaces the packages that the test runs on; .ci/run begins with it',
  'npm test': 'it runs this test',
  'docker compose up --build': 'it needs a Docker daemon; test/deploy checks what it reads',
  'deploy/deb/build.sh .':
    'it leaves a package in the checkout; test/deploy builds and installs one',
  'npm run bench': 'it measures for half an hour and writes results into the checkout',
};
