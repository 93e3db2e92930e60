import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCloudRunLimits } from '../../../../scripts/deploy-check/rules/cloud-run-limits.ts';
import { check, cloudRun } from '../fixture.ts';

const limits = (cpu: string, memory: string, more = ''): string =>
  `resources: { limits: { cpu: '${cpu}', memory: ${memory}${more} } }`;
const GPU = ", nvidia.com/gpu: '1'";
const ACCELERATOR = 'nodeSelector: { run.googleapis.com/accelerator: nvidia-l4 }';
const UNTHROTTLED = "run.googleapis.com/cpu-throttling: 'false'";
const FUSE = 'volumes: [{ name: models, csi: { driver: gcsfuse.run.googleapis.com } }]';
const probe = (kind: string, values: string): string => cloudRun(`${kind}: { httpGet: { path: /ready }, ${values} }`);
/** With these in the metadata of the service. */
const service = (metadata: string): string => cloudRun().replace('{ name: server }', `{ name: server, ${metadata} }`);

test('a service within the limits of Cloud Run has no finding', () => {
  for (const yaml of [
    cloudRun(),
    cloudRun(limits('2', '2Gi'), 'containerConcurrency: 80, timeoutSeconds: 3600'),
    cloudRun(limits('500m', '512Mi'), 'containerConcurrency: 1'),
    cloudRun(limits('8', '32Gi')),
    cloudRun(limits('4', '16Gi', GPU), ACCELERATOR, UNTHROTTLED),
    cloudRun('', FUSE, 'run.googleapis.com/execution-environment: gen2'),
    probe('startupProbe', 'periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 240'),
    probe('livenessProbe', 'periodSeconds: 3600, failureThreshold: 3'),
    service(
      "labels: { app: ml-model }, annotations: { run.googleapis.com/ingress: internal, run.googleapis.com/minScale: '1' }",
    ),
  ])
    assert.deepEqual(check(checkCloudRunLimits, yaml), []);
});

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a startup probe of more than 240 s',
    probe('startupProbe', 'periodSeconds: 2, failureThreshold: 121'),
    /startupProbe: 242 s, but Cloud Run takes at most 240 s/,
  ],
  ['a startup probe that is too long by its default period', probe('startupProbe', 'failureThreshold: 25'), /250 s/],
  ['a liveness probe that is too rare', probe('livenessProbe', 'periodSeconds: 3601'), /3601 s, but .* 3600 s/],
  [
    'a probe that may take longer than its period',
    probe('startupProbe', 'periodSeconds: 1, timeoutSeconds: 2'),
    /timeoutSeconds 2 is more than periodSeconds 1/,
  ],
  [
    'more requests at a time than Cloud Run sends',
    cloudRun('', 'containerConcurrency: 1001'),
    /1001, expected 1 to 1000/,
  ],
  ['a longer time for a request than an hour', cloudRun('', 'timeoutSeconds: 3601'), /timeoutSeconds: 3601, expected/],
  ['too little memory for 4 CPUs', cloudRun(limits('4', '1Gi')), /memory: 1Gi with 4 CPUs, expected 2Gi to 16Gi/],
  ['too much memory for a CPU', cloudRun(limits('1', '8Gi')), /memory: 8Gi with 1 CPUs, expected 0\.5Gi to 4Gi/],
  ['a number of CPUs that there is not', cloudRun(limits('3', '4Gi')), /3 CPUs, expected 1, 2, 4, 6, 8/],
  [
    'a part of a CPU for several requests',
    cloudRun(limits('500m', '512Mi')),
    /500m: less than one CPU takes one request/,
  ],
  [
    'a GPU with 2 CPUs',
    cloudRun(limits('2', '8Gi', GPU).replace('8Gi', '16Gi'), ACCELERATOR, UNTHROTTLED),
    /2 CPUs|needs 4 CPUs/,
  ],
  ['a GPU without its kind', cloudRun(limits('4', '16Gi', GPU), '', UNTHROTTLED), /needs nodeSelector/],
  ['a GPU with throttled CPUs', cloudRun(limits('4', '16Gi', GPU), ACCELERATOR), /a GPU needs cpu-throttling: 'false'/],
  [
    'a mounted bucket without gen2',
    cloudRun('', FUSE),
    /volumes\[0\]: Cloud Storage FUSE needs execution-environment gen2/,
  ],
  [
    'ingress on the revision',
    cloudRun('', '', 'run.googleapis.com/ingress: all'),
    /is of a Service: a Revision does not take it/,
  ],
  [
    'an annotation of the revision on the service',
    service("annotations: { run.googleapis.com/startup-cpu-boost: 'true' }"),
    /is of a Revision: a Service does not take it/,
  ],
  [
    'a misspelt annotation',
    cloudRun('', '', "run.googleapis.com/start-cpu-boost: 'true'"),
    /is no annotation that is known here/,
  ],
  [
    'another ingress',
    service('annotations: { run.googleapis.com/ingress: external }'),
    /ingress: external, expected all, internal, /,
  ],
  ['a label of Kubernetes', service('labels: { app.kubernetes.io/name: ml-model }'), /labels have lower case letters/],
];

for (const [title, yaml, line] of BAD) {
  test(`a service is refused for ${title}`, () => {
    const found = check(checkCloudRunLimits, yaml);
    assert.ok(
      found.some((one) => line.test(one)),
      found.join('\n'),
    );
  });
}
