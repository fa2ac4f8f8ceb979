/** Blocks that no test runs, by their first line, and why. */
export const NOT_RUN: Readonly<Record<string, string>> = {
  'npm ci': 'it replaces the packages that the test runs on; .ci/run begins with it',
  'npm test': 'it runs this test',
  "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=mesh clients' -keyout ca.key -out ca.crt":
    'its controller would be another; test/cli/client-certificates runs it',
  'docker compose up --build': 'it needs a Docker daemon; test/deploy checks what it reads',
  'deploy/deb/build.sh .':
    'it leaves a package in the checkout; test/deploy builds and installs one',
  'helm install mesh deploy/helm/aligned-meshnet --namespace meshes --create-namespace \\':
    'it needs machines; test/e2e/kubernetes has a real API server take what it makes',
  'go build -C deploy/terraform/provider -o ~/.local/lib/meshnet-terraform/terraform-provider-meshnet':
    'it leaves a program there; test/e2e/terraform builds one and applies the example with it',
  'npm install promptfoo@0.123.1': 'it fetches 270 MB; test/e2e/harnesses runs it',
  'python3 -m venv inspect': 'it fetches 330 MB; test/e2e/harnesses runs it',
  'python3 -m venv lm-eval':
    'with torch it fetches gigabytes; test/e2e/harnesses runs lm-eval without it',
  'python3 -m venv garak':
    'with torch it fetches gigabytes; test/e2e/harnesses runs garak without it',
  'apt-get install prometheus': 'it changes the system; examples/validators runs it',
  'npm run bench': 'it measures for half an hour and writes results into the checkout',
};
