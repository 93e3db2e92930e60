import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkDeployment } from '../../scripts/deploy-check/check.ts';
import { findMissingKubectl } from '../../scripts/deploy-check/kustomize.ts';
import { showFinding } from '../../scripts/deploy-check/yaml.ts';
import { DOCKERFILE, makeProject } from '../scripts/deploy-check/fixture.ts';

const ROOT = join(import.meta.dirname, '..', '..');

test('every overlay, and the base with each component, is built, valid, and agrees with the image', () => {
  assert.equal(findMissingKubectl(), undefined);
  const { findings, builds } = checkDeployment(ROOT, true);
  assert.deepEqual(findings.map(showFinding), []);
  const folders = globSync('k8s/{base,overlays/*,components/*}/kustomization.yaml', { cwd: ROOT }).map(dirname);
  assert.ok(folders.length > 3);
  assert.deepEqual([...builds].sort(), folders.sort());
});

const BASE = {
  'Dockerfile.ml': DOCKERFILE,
  'k8s/base/kustomization.yaml':
    'resources: [deployment.yaml]\nconfigMapGenerator: [{ name: settings, envs: [config.env] }]\n',
  'k8s/base/config.env': 'SHUTDOWN_GRACE_MS=20000\n',
  'k8s/base/deployment.yaml': `
apiVersion: apps/v1
kind: Deployment
metadata: { name: server }
spec:
  selector: { matchLabels: { app: server } }
  template:
    metadata: { labels: { app: server } }
    spec:
      securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }
      containers:
        - name: server
          image: ml-model
          envFrom: [{ configMapRef: { name: settings } }]
          resources: { limits: { memory: 1Gi } }
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
`,
};
const component = (text: string): string => `apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n${text}\n`;
const patch = (text: string): string => component(`patches: [{ target: { kind: Deployment }, patch: '${text}' }]`);
const overlay = 'resources: [../../base]\nimages: [{ name: ml-model, newTag: "1" }]\n';

function check(t: Parameters<typeof makeProject>[0], files: Record<string, string>): string[] {
  return checkDeployment(makeProject(t, { ...BASE, ...files }), true).findings.map(showFinding);
}

test('a base, an overlay and a component that agree with the image have no findings', (t) => {
  const files = {
    'k8s/overlays/dev/kustomization.yaml': overlay,
    'k8s/components/more/kustomization.yaml': patch('[{"op": "add", "path": "/spec/replicas", "value": 2}]'),
  };
  assert.deepEqual(check(t, files), []);
});

test('a fault of the base is reported once, although every build has it', (t) => {
  const files = {
    'k8s/base/config.env': 'SHUTDOWN_GRACE_MS=soon\n',
    'k8s/overlays/dev/kustomization.yaml': `${overlay}configMapGenerator: [{ name: settings, behavior: merge, literals: [LOG_LEVEL=debug] }]\n`,
    'k8s/components/more/kustomization.yaml': patch('[{"op": "add", "path": "/spec/replicas", "value": 2}]'),
  };
  const found = check(t, files);
  assert.equal(found.length, 1, found.join('\n'));
  assert.match(
    found[0]!,
    /^k8s\/base: ConfigMap\/settings-\w+ data\.SHUTDOWN_GRACE_MS: SHUTDOWN_GRACE_MS="soon" is not usable/,
  );
});

/** An overlay in a namespace, with the suffix of a release and the label by which it differs. */
const release = (suffix: string, more = ''): string =>
  `${overlay}namespace: team\nnameSuffix: ${suffix}\nlabels: [{ pairs: { app: server${suffix} }, includeSelectors: true }]\n${more}`;

test('two releases in one namespace that differ by a label have no findings', (t) => {
  const files = {
    'k8s/overlays/a/kustomization.yaml': release('-a'),
    'k8s/overlays/b/kustomization.yaml': release('-b'),
  };
  assert.deepEqual(check(t, files), []);
});

const ROUTE = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: route }
spec: { parentRefs: [{ name: gateway }], rules: [{ filters: [{ type: RequestRedirect, requestRedirect: { scheme: https } }] }] }
`;

const BROKEN: [title: string, files: Record<string, string>, line: RegExp][] = [
  [
    'a component whose patch makes an unknown field',
    { 'k8s/components/a/kustomization.yaml': patch('[{"op": "add", "path": "/spec/replica", "value": 2}]') },
    /^k8s\/components\/a: Deployment\/server spec\.replica: unknown field replica/,
  ],
  [
    'a component whose patch makes a wrong value',
    { 'k8s/components/a/kustomization.yaml': patch('[{"op": "add", "path": "/spec/replicas", "value": "two"}]') },
    /^k8s\/components\/a: Deployment\/server spec\.replicas: Type 'string' is not assignable to type 'number'/,
  ],
  [
    'a component that leaves too little time for the shutdown',
    {
      'k8s/components/spot/kustomization.yaml': patch(
        '[{"op": "add", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 15}]',
      ),
    },
    /^k8s\/components\/spot: ConfigMap\/settings-\w+ data\.SHUTDOWN_GRACE_MS: SHUTDOWN_GRACE_MS of 20000, but Kubernetes kills after 15 s/,
  ],
  [
    "a component that runs as another user than the image's",
    {
      'k8s/components/a/kustomization.yaml': patch(
        '[{"op": "add", "path": "/spec/template/spec/securityContext/runAsUser", "value": 1000}]',
      ),
    },
    /^k8s\/components\/a: .*runAsUser: runAsUser 1000, but the image has 65532/,
  ],
  [
    'an overlay that leaves the image without a tag',
    { 'k8s/overlays/dev/kustomization.yaml': 'resources: [../../base]\n' },
    /^k8s\/overlays\/dev: .*image: ml-model has no tag/,
  ],
  [
    'an overlay whose suffix alone makes it another release',
    {
      'k8s/overlays/a/kustomization.yaml': release('-a'),
      'k8s/overlays/b/kustomization.yaml': release('-b').replace('server-b', 'server-a'),
    },
    /^k8s\/overlays\/b: Deployment\/server-b spec\.selector\.matchLabels: selects the pods of Deployment\/server-a and Deployment\/server-b/,
  ],
  [
    'two overlays with the same names in one namespace',
    {
      'k8s/overlays/a/kustomization.yaml': release('-a'),
      'k8s/overlays/b/kustomization.yaml': release('-a'),
    },
    /^k8s\/overlays\/b: Deployment\/server-a: is also in k8s\/overlays\/a: the release that is applied last replaces it/,
  ],
  [
    'a route to a Gateway that no overlay of the namespace has',
    {
      'k8s/overlays/a/kustomization.yaml': release('-a').replace('resources: [', 'resources: [route.yaml, '),
      'k8s/overlays/a/route.yaml': ROUTE,
    },
    /^k8s\/overlays\/a: HTTPRoute\/route-a spec\.parentRefs\[0\]\.name: there is no Gateway gateway/,
  ],
  [
    'an overlay that is not built',
    { 'k8s/overlays/dev/kustomization.yaml': 'resources: [../../nowhere]\n' },
    /^k8s\/overlays\/dev: kubectl kustomize: .*accumulating resources: .*nowhere/,
  ],
  [
    'a field that kustomize does not know',
    { 'k8s/overlays/dev/kustomization.yaml': `${overlay}component: [a]\n` },
    /^k8s\/overlays\/dev: kubectl kustomize: .*unknown field \\?"component/,
  ],
];

for (const [title, files, line] of BROKEN) {
  test(`a build is refused for ${title}`, (t) => {
    const found = check(t, files);
    assert.ok(
      found.some((one) => line.test(one)),
      found.join('\n') || 'found nothing',
    );
  });
}
