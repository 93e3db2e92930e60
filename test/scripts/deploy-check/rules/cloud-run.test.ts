import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCloudRun } from '../../../../scripts/deploy-check/rules/cloud-run.ts';
import { check, cloudRun } from '../fixture.ts';

const limits = (cpu: string, memory: string, more = ''): string =>
  `resources: { limits: { cpu: '${cpu}', memory: ${memory}${more} } }`;
const GPU = ", nvidia.com/gpu: '1'";
const L4 = 'nodeSelector: { run.googleapis.com/accelerator: nvidia-l4 }';
const ALWAYS = "run.googleapis.com/cpu-throttling: 'false'";
const scale = (least: string, most: string): string =>
  `autoscaling.knative.dev/minScale: '${least}', autoscaling.knative.dev/maxScale: '${most}'`;
const probe = (kind: string, figures: string): string => `${kind}: { httpGet: { path: /ready }, ${figures} }`;
const SIDECAR = (order: string, container = ''): string =>
  cloudRun(`name: server${container}`, '', `run.googleapis.com/container-dependencies: '${order}'`).replace(
    'containers: [',
    'containers: [{ name: collector, image: other:1 }, ',
  );

const GOOD: [title: string, yaml: string][] = [
  ['what it has by default', cloudRun()],
  ['2 CPUs and 2Gi', cloudRun(limits('2', '2Gi'), 'containerConcurrency: 80, timeoutSeconds: 3600', scale('0', '10'))],
  ['half a CPU, one request at a time', cloudRun(limits('500m', '512Mi'), 'containerConcurrency: 1')],
  [
    '240 probes of a second',
    cloudRun(probe('startupProbe', 'periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 240')),
  ],
  ['an L4', cloudRun(limits('4', '16Gi', GPU), L4, ALWAYS)],
  [
    'a container that others wait for',
    SIDECAR('{"collector":["server"]}', ', startupProbe: { httpGet: { path: /ready } }'),
  ],
  ['annotations of others', cloudRun('', '', 'example.com/owner: me')],
];

for (const [title, yaml] of GOOD)
  test(`Cloud Run takes ${title}`, () => assert.deepEqual(check(checkCloudRun, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['3 CPUs', cloudRun(limits('3', '2Gi')), /limits\.cpu: 3, expected 1, 2, 4, 6, 8/],
  ['4 CPUs with 1Gi', cloudRun(limits('4', '1Gi')), /limits\.memory: 1Gi, but 4 CPUs take 2Gi to 16Gi/],
  ['6 CPUs with 2Gi', cloudRun(limits('6', '2Gi')), /6 CPUs take 4Gi/],
  ['16Gi for a CPU', cloudRun(limits('1', '16Gi')), /1 CPUs take 0Gi to 4Gi/],
  ['half a CPU with 80 requests', cloudRun(limits('500m', '512Mi')), /takes containerConcurrency: 1/],
  [
    '1001 requests at a time',
    cloudRun('', 'containerConcurrency: 1001'),
    /containerConcurrency: 1001, expected 0 to 1000/,
  ],
  ['two hours', cloudRun('', 'timeoutSeconds: 7200'), /timeoutSeconds: 7200, expected 1 to 3600/],
  [
    'less time than the server takes',
    cloudRun('', 'timeoutSeconds: 30'),
    /30 s, but the server answers a request until 60000 ms/,
  ],
  ['a least above the most', cloudRun('', '', scale('5', '4')), /minScale 5, above maxScale 4/],
  ['a scale that is no number', cloudRun('', '', scale('0', 'many')), /many is no number of instances/],
  [
    'a startup of five minutes',
    cloudRun(probe('startupProbe', 'failureThreshold: 30')),
    /startupProbe: fails after 300 s: Cloud Run takes 240 s/,
  ],
  [
    'a probe that waits longer than its period',
    cloudRun(probe('livenessProbe', 'periodSeconds: 5, timeoutSeconds: 6')),
    /waits 6 s for an answer, and asks again after 5 s/,
  ],
  ['a GPU with 2 CPUs', cloudRun(limits('2', '8Gi', GPU), L4, ALWAYS), /limits\.cpu: 2, but an nvidia-l4 takes 4/],
  ['a GPU with 8Gi', cloudRun(limits('4', '8Gi', GPU), L4, ALWAYS), /below the 16Gi/],
  [
    'a GPU that sleeps between requests',
    cloudRun(limits('4', '16Gi', GPU), L4),
    /a GPU takes run.googleapis.com\/cpu-throttling: 'false'/,
  ],
  ['a GPU of no kind', cloudRun(limits('4', '16Gi', GPU), '', ALWAYS), /nodeSelector: .*expected nvidia-l4/],
  ['a kind of GPU without one', cloudRun(limits('4', '16Gi'), L4, ALWAYS), /nvidia\.com\/gpu undefined, expected 1/],
  [
    'an annotation that it does not know',
    cloudRun('', '', "run.googleapis.com/cpu-boost: 'true'"),
    /no annotation that Cloud Run knows on a revision/,
  ],
  [
    'an annotation in the wrong place',
    cloudRun('', '', 'run.googleapis.com/ingress: all'),
    /on a revision: it belongs to the service/,
  ],
  ['a container to wait for that is not there', SIDECAR('{"collector":["sever"]}'), /there is no container sever/],
  [
    'a container to wait for that tells nobody',
    SIDECAR('{"collector":["server"]}'),
    /others wait for it, which takes a startupProbe/,
  ],
  [
    'two containers with ports',
    cloudRun().replace('containers: [', 'containers: [{ image: ml-model, ports: [{ containerPort: 8080 }] }, '),
    /2 containers have ports/,
  ],
  [
    'a project in its name',
    cloudRun().replace('{ name: server }', "{ name: server, namespace: '1' }"),
    /metadata\.namespace: names a project/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`Cloud Run does not take ${title}`, () => {
    const found = check(checkCloudRun, yaml);
    assert.ok(
      found.some((one) => line.test(one)),
      found.join('\n') || 'found nothing',
    );
    // A GPU's CPUs and memory hang together.
    assert.ok(found.length === 1 || title.includes('GPU'), found.join('\n'));
  });
}
