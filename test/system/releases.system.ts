import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { createScope } from '../../scripts/deploy-check/containers.ts';
import { readImage } from '../../scripts/deploy-check/image.ts';
import { build } from '../../scripts/deploy-check/kustomize.ts';
import { checkEgress } from '../../scripts/deploy-check/rules/egress.ts';
import { checkReleases } from '../../scripts/deploy-check/rules/releases.ts';
import { checkRoutes } from '../../scripts/deploy-check/rules/routes.ts';
import { checkSelectors } from '../../scripts/deploy-check/rules/selectors.ts';
import { type Node, showFinding } from '../../scripts/deploy-check/yaml.ts';
import { blocks, section } from '../helpers/readme.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COMPONENTS = globSync('k8s/components/*/kustomization.yaml', { cwd: ROOT }).map((file) =>
  basename(dirname(file)),
);
const RELEASES = ['production', 'second-model'] as const;
const INSTANCE = 'app.kubernetes.io/instance';
const VERSION = 'app.kubernetes.io/version';
const CLUSTER_SCOPED = ['Namespace', 'ComputeClass', 'PriorityClass'];

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds.
type Any = any;
type Labels = Record<string, string>;

/** A copy of k8s/, gone after the test. */
function copyManifests(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'releases-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(ROOT, 'k8s'), join(folder, 'k8s'), { recursive: true });
  return folder;
}

/** Changes an overlay's kustomization.yaml. */
function edit(root: string, overlay: string, change: (kustomization: Any) => void): void {
  const file = join(root, 'k8s/overlays', overlay, 'kustomization.yaml');
  const kustomization = parse(readFileSync(file, 'utf8'));
  change(kustomization);
  writeFileSync(file, stringify(kustomization));
}

/** Adds components to an overlay, each once. */
function add(root: string, overlay: string, ...components: string[]): void {
  edit(root, overlay, (kustomization) => {
    const all = [...kustomization.components, ...components.map((name) => `../../components/${name}`)];
    kustomization.components = [...new Set(all)];
  });
}

function render(root: string, overlay: string): readonly Node[] {
  const { documents, findings } = build(overlay, join(root, 'k8s/overlays', overlay), true);
  assert.deepEqual(findings.map(showFinding), []);
  return documents;
}

const valuesOf = (documents: readonly Node[]): Any[] => documents.map(({ value }) => value);
const named = (object: Any): string => `${object.kind}/${object.metadata.name}`;
const matches = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

const peersOf = (rules: Any): (Labels | undefined)[] =>
  (rules ?? []).flatMap((rule: Any) => rule.from ?? rule.to ?? []).map((peer: Any) => peer.podSelector?.matchLabels);

/** The selectors of a kind of object for pods of its own namespace. */
const SELECTORS_OF: Readonly<Record<string, (spec: Any) => (Labels | undefined)[]>> = {
  Deployment: (spec) => [
    spec.selector.matchLabels,
    ...(spec.template.spec.topologySpreadConstraints ?? []).map((one: Any) => one.labelSelector.matchLabels),
  ],
  Service: (spec) => [spec.selector],
  PodDisruptionBudget: (spec) => [spec.selector.matchLabels],
  PodMonitoring: (spec) => [spec.selector.matchLabels],
  NetworkPolicy: (spec) => [spec.podSelector.matchLabels, ...peersOf(spec.ingress), ...peersOf(spec.egress)],
};

/** Every selector, with the object that has it. */
function selectorsOf(objects: readonly Any[]): { object: Any; selector: Labels }[] {
  return objects.flatMap((object) =>
    (SELECTORS_OF[object.kind]?.(object.spec) ?? [])
      .filter((selector) => selector !== undefined)
      .map((selector) => ({ object, selector })),
  );
}

/** The names by which an object refers to others of its release. */
function referencesOf(object: Any): string[] {
  const { spec } = object;
  const pod = spec?.template?.spec;
  return [
    ...(pod === undefined
      ? []
      : [pod.serviceAccountName, pod.priorityClassName, pod.nodeSelector?.['cloud.google.com/compute-class']]),
    ...(pod?.containers ?? []).flatMap((container: Any) => [
      ...(container.envFrom ?? []).map((one: Any) => one.configMapRef.name),
      ...(container.env ?? []).map((one: Any) => one.valueFrom?.secretKeyRef?.name),
    ]),
    ...(pod?.volumes ?? []).map((volume: Any) => volume.secret?.secretName),
    spec?.scaleTargetRef?.name,
    spec?.targetRef?.name,
    ...(object.kind === 'HTTPRoute' ? spec.rules : []).flatMap((rule: Any) =>
      (rule.backendRefs ?? []).map((one: Any) => one.name),
    ),
  ].filter((name) => name !== undefined);
}

function assertApart(one: readonly Any[], two: readonly Any[]): void {
  const all = [...one, ...two];
  const workloads = all.filter(({ kind }) => kind === 'Deployment');
  const names = one.map(named);
  assert.deepEqual(
    two.map(named).filter((name) => names.includes(name)),
    [],
  );
  for (const { object, selector } of selectorsOf(all)) {
    const selected = workloads.filter((workload) => matches(selector, workload.spec.template.metadata.labels));
    const place = `${named(object)} ${JSON.stringify(selector)}`;
    assert.ok(!(VERSION in selector), place);
    assert.equal(selected.length, 1, `${place} selects ${selected.map(named).join()}`);
    const own = object.metadata.labels[INSTANCE];
    assert.equal(selected[0].metadata.labels[INSTANCE], own, place);
    if (object.kind === 'Service') assert.equal(selected[0].metadata.name, object.metadata.name);
    if (object.kind === 'Deployment') assert.equal(selected[0], object, place);
  }
  for (const object of two) {
    assert.ok(object.metadata.name.includes('-fraud'), named(object));
    assert.equal(object.metadata.labels[INSTANCE], 'ml-model-fraud', named(object));
    for (const name of referencesOf(object)) assert.match(name, /-fraud/, named(object));
  }
  for (const object of one) {
    assert.equal(object.metadata.labels?.[INSTANCE] ?? 'ml-model', 'ml-model', named(object));
    for (const name of referencesOf(object)) assert.doesNotMatch(name, /-fraud/, named(object));
  }
  for (const object of all)
    assert.equal(
      object.metadata.namespace,
      CLUSTER_SCOPED.includes(object.kind) ? undefined : 'ml-model',
      named(object),
    );
}

/** What deploy-check finds in the two releases together. */
function checkTogether(documents: readonly Node[]): string[] {
  const scope = createScope(documents, readImage(ROOT).image);
  return [...checkSelectors(scope), ...checkReleases(scope)].map(showFinding);
}

test('two releases in one namespace share no selector and no name, and each has all that the other has', (t) => {
  const root = copyManifests(t);
  const [one, two] = RELEASES.map((overlay) => render(root, overlay)) as [Node[], Node[]];
  assertApart(valuesOf(one), valuesOf(two));
  assert.deepEqual(checkTogether([...one, ...two]), []);
  const kinds = (documents: readonly Node[]): unknown[] => documents.map((object) => object.at('kind').value).sort();
  assert.deepEqual(
    kinds(two),
    kinds(one).filter((kind) => kind !== 'Namespace'),
  );
});

/** What a component needs, or may only be combined with. */
const WITH: Readonly<Record<string, readonly string[]>> = { 'latency-autoscaling': ['pod-monitoring'] };

for (const component of COMPONENTS) {
  test(`two releases in one namespace share no selector and no name when both have the component ${component}`, (t) => {
    const root = copyManifests(t);
    for (const overlay of RELEASES) add(root, overlay, ...(WITH[component] ?? []), component);
    const [one, two] = RELEASES.map((overlay) => valuesOf(render(root, overlay))) as [Any[], Any[]];
    assertApart(one, two);
  });
}

const MANY = ['large', 'redis', 'pod-monitoring', 'latency-autoscaling', 'private-google-access', 'priority'];

test('two releases with many components share a Gateway, each with a host name', (t) => {
  const root = copyManifests(t);
  add(root, 'production', ...MANY, 'gateway', 'spot');
  add(root, 'second-model', ...MANY, 'gateway-route', 'spot');
  const renderBoth = (): Node[] => RELEASES.flatMap((overlay) => render(root, overlay));
  assert.match(
    checkTogether(renderBoth()).join('\n'),
    /HTTPRoute\/ml-model-fraud spec\.hostnames: matches the same requests/,
  );
  edit(root, 'second-model', (kustomization) => {
    const patch = '[{"op": "add", "path": "/spec/hostnames", "value": ["fraud.example.com"]}]';
    kustomization.patches.push({ target: { kind: 'HTTPRoute' }, patch });
  });
  const documents = renderBoth();
  assert.deepEqual(checkTogether(documents), []);
  const routes = valuesOf(documents).filter(({ kind, spec }) => kind === 'HTTPRoute' && spec.rules[0].backendRefs);
  assert.deepEqual(
    routes.map(({ spec }) => [spec.parentRefs[0].name, spec.hostnames, spec.rules[0].backendRefs[0].name]),
    [
      ['ml-model', undefined, 'ml-model'],
      ['ml-model', ['fraud.example.com'], 'ml-model-fraud'],
    ],
  );
  const [one, two] = RELEASES.map((overlay) => valuesOf(render(root, overlay))) as [Any[], Any[]];
  assertApart(one, two);
});

test('two Gateways with one address are found', (t) => {
  const root = copyManifests(t);
  for (const overlay of RELEASES) add(root, overlay, 'gateway');
  const found = checkTogether(RELEASES.flatMap((overlay) => render(root, overlay)));
  assert.match(
    found.join('\n'),
    /Gateway\/ml-model-fraud spec\.addresses\[0\]\.value: is also the address of Gateway\/ml-model/,
  );
});

/** The files of selectors, and what is found when a selector has no release. */
const SELECTORS: [file: string, component: string][] = [
  ['base/deployment.yaml', 'pod-monitoring'],
  ['base/service.yaml', 'pod-monitoring'],
  ['base/pod-disruption-budget.yaml', 'pod-monitoring'],
  ['base/network-policy.yaml', 'pod-monitoring'],
  ['components/pod-monitoring/pod-monitoring.yaml', 'pod-monitoring'],
  ['components/pod-monitoring/network-policy.yaml', 'pod-monitoring'],
  ['components/gateway-route/network-policy.yaml', 'gateway-route'],
  ['components/redis/network-policy.yaml', 'redis'],
  ['components/redis/redis-deployment.yaml', 'redis'],
  ['components/redis/redis-network-policy.yaml', 'redis'],
  ['components/redis/redis-service.yaml', 'redis'],
];

for (const [file, component] of SELECTORS) {
  test(`a selector of ${file} without the release is found`, (t) => {
    const root = copyManifests(t);
    for (const overlay of RELEASES) add(root, overlay, component);
    const [path, text] = [join(root, 'k8s', file), readFileSync(join(root, 'k8s', file), 'utf8')];
    // The labels of a selector are deeper than those of the object, and a pod's are below `labels`.
    const without = text.replaceAll(
      /((?:matchLabels|selector):\n(?: +\S.*\n)*?) +app\.kubernetes\.io\/instance: .*\n/g,
      '$1',
    );
    assert.notEqual(without, text);
    writeFileSync(path, without);
    const found = checkTogether(RELEASES.flatMap((overlay) => render(root, overlay))).join('\n');
    assert.match(found, /selects the pods of/);
  });
}

test('a second release by its suffix alone is found: both would serve the same requests', (t) => {
  const root = copyManifests(t);
  edit(root, 'second-model', (kustomization) => {
    delete kustomization.labels;
  });
  const found = checkTogether(RELEASES.flatMap((overlay) => render(root, overlay))).join('\n');
  assert.match(
    found,
    /Service\/ml-model spec\.selector: selects the pods of Deployment\/ml-model and Deployment\/ml-model-fraud/,
  );
  assert.match(found, /Deployment\/ml-model-fraud spec\.selector\.matchLabels: selects the pods of/);
});

/** The rules for outgoing connections of the server's pods: what any policy allows is allowed. */
function egressOf(documents: readonly Node[]): Any[] {
  const objects = valuesOf(documents);
  const pod = objects.find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.labels['app.kubernetes.io/component'] === 'server',
  );
  const policies = objects.filter(
    ({ kind, spec }) =>
      kind === 'NetworkPolicy' &&
      spec.policyTypes.includes('Egress') &&
      matches(spec.podSelector.matchLabels, pod.spec.template.metadata.labels),
  );
  assert.notEqual(policies.length, 0);
  return policies.flatMap(({ spec }) => spec.egress ?? []);
}

const portsOf = (rule: Any): number[] => rule.ports.map(({ port }: { port: number }) => port);
const blocksOf = (rule: Any): string[] | undefined => rule.to?.map(({ ipBlock }: Any) => ipBlock.cidr);

test('with no-egress the server may call nothing, and a bucket is refused', (t) => {
  const root = copyManifests(t);
  add(root, 'production', 'gateway', 'priority', 'no-egress');
  assert.deepEqual(egressOf(render(root, 'production')), []);
  add(root, 'second-model', 'no-egress');
  const found = checkEgress(createScope(render(root, 'second-model'), readImage(ROOT).image)).map(showFinding);
  assert.equal(found.length, 1);
  assert.match(found[0]!, /MODEL_URI: gs:\/\/BUCKET\/models\/fraud calls port 443 of another server/);
});

test("with private-google-access the server may call Google's private ranges, DNS, and the metadata server alone", (t) => {
  const root = copyManifests(t);
  add(root, 'second-model', 'private-google-access');
  assert.deepEqual(
    egressOf(render(root, 'second-model')).map((rule) => [portsOf(rule), blocksOf(rule)]),
    [
      [[53, 53], undefined],
      [[443], ['199.36.153.8/30', '199.36.153.4/30']],
      [[80, 8080], ['169.254.169.254/32']],
      [[987, 988], ['169.254.169.252/32']],
    ],
  );
});

test('a load balancer reaches no route for operators, and would if ADMIN_PORT were not set', (t) => {
  const root = copyManifests(t);
  add(root, 'production', 'gateway');
  const check = (): string[] =>
    checkRoutes(createScope(render(root, 'production'), readImage(ROOT).image)).map(showFinding);
  assert.deepEqual(check(), []);
  const file = join(root, 'k8s/base/config.env');
  writeFileSync(file, readFileSync(file, 'utf8').replace('ADMIN_PORT=8081\n', ''));
  assert.match(check().join('\n'), /forwards POST \/v2\/repository\/models\/\{name\}\/load, which is for operators/);
});

test('the overlay of one replica takes every component, and has no autoscaler and no disruption budget', (t) => {
  for (const component of COMPONENTS) {
    const root = copyManifests(t);
    edit(root, 'dev', (kustomization) => {
      kustomization.components = [`../../components/${component}`];
    });
    const documents = render(root, 'dev');
    const objects = valuesOf(documents);
    const kinds = objects.map(({ kind }) => kind);
    assert.ok(!kinds.includes('HorizontalPodAutoscaler') && !kinds.includes('PodDisruptionBudget'), component);
    assert.deepEqual(checkTogether(documents), [], component);
    assert.ok(
      objects.every(({ metadata }) => metadata.labels[INSTANCE] === 'ml-model'),
      component,
    );
    assert.equal(objects.find(({ kind }) => kind === 'Deployment').spec.replicas, 1, component);
  }
});

/** Runs the lines of a page's shell block that change files, in a copy of the project. */
function runLines(root: string, page: string, heading: string): void {
  const [block] = blocks(section(page, heading)).filter(({ text }) => /^(cp|sed) /m.test(text));
  const lines = block!.text.split('\n').filter((line) => /^(cp|sed) /.test(line));
  execFileSync('sh', ['-e', '-c', lines.join('\n')], { cwd: root });
}

test('a third release is made by the lines of the page, and shares nothing with the two', (t) => {
  const root = copyManifests(t);
  runLines(root, 'k8s/overlays/second-model/README.md', 'Another model');
  const documents = [...RELEASES, 'churn'].flatMap((overlay) => render(root, overlay));
  assert.deepEqual(checkTogether(documents), []);
  const deployments = valuesOf(documents).filter(({ kind }) => kind === 'Deployment');
  assert.deepEqual(
    deployments.map(({ metadata }) => [metadata.name, metadata.labels[INSTANCE]]),
    ['ml-model', 'ml-model-fraud', 'ml-model-churn'].map((name) => [name, name]),
  );
  assert.match(JSON.stringify(valuesOf(render(root, 'churn'))), /gs:\/\/BUCKET\/models\/churn/);
});

test('the registry and a new tag are set by the lines of the pages, and the label of the version says the tag', (t) => {
  const root = copyManifests(t);
  runLines(root, 'k8s/README.md', 'Kubernetes');
  runLines(root, 'k8s/README.md', 'Upgrade and rollback');
  const imagesOf = (overlay: string): string[] =>
    valuesOf(render(root, overlay))
      .filter(({ kind }) => kind === 'Deployment')
      .map(({ spec: { template } }) => `${template.metadata.labels[VERSION]} ${template.spec.containers[0].image}`);
  const image = 'europe-west1-docker.pkg.dev/my-project/ml/ml-model';
  assert.deepEqual(imagesOf('production'), [`2 ${image}:2`]);
  assert.deepEqual(imagesOf('second-model'), [`1 ${image}:1`]);
  add(root, 'production', 'gpu');
  assert.deepEqual(imagesOf('production'), [`2 ${image}:2-gpu`]);
});
