import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { createScope, type Rule } from '../../../scripts/deploy-check/containers.ts';
import type { Image } from '../../../scripts/deploy-check/image.ts';
import { type Node, readYaml, showFinding } from '../../../scripts/deploy-check/yaml.ts';

export const IMAGE: Image = {
  stages: [{ name: 'cpu', line: 1, env: [], exposes: '8080', user: '65532:65532', workdir: '/app' }],
  port: 8080,
  uid: 65532,
  gid: 65532,
  workdir: '/app',
};

export function documentsOf(yaml: string): readonly Node[] {
  return readYaml('a.yaml', yaml).documents;
}

/** The findings of a rule in the YAML. @param deployed whether it is an overlay. */
export function check(rule: Rule, yaml: string, deployed = true): string[] {
  return rule(createScope(documentsOf(yaml), IMAGE, { deployed })).map(showFinding);
}

/** A Deployment of our image, with `pod` in the pod's spec and `container` in its container, both as JSON's inside. */
export function deployment(container = '', pod = ''): string {
  const inside = (text: string): string => (text === '' ? '' : `, ${text}`);
  return `
apiVersion: apps/v1
kind: Deployment
metadata: { name: server }
spec:
  selector: { matchLabels: { app: server } }
  template:
    metadata: { labels: { app: server } }
    spec: { containers: [{ name: server, image: ml-model:1${inside(container)} }]${inside(pod)} }
`;
}

/** A service of Cloud Run, likewise; `more` is put into the template's annotations. */
export function cloudRun(container = '', spec = '', annotations = ''): string {
  const inside = (text: string): string => (text === '' ? '' : `, ${text}`);
  return `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: server }
spec:
  template:
    metadata: { annotations: { ${annotations} } }
    spec: { containers: [{ image: REGION-docker.pkg.dev/P/ml/ml-model:1, ports: [{ containerPort: 8080 }]${inside(container)} }]${inside(spec)} }
`;
}

/** docker-compose, likewise. */
export function compose(service = ''): string {
  return `services: { server: { image: ml-model:latest, build: { dockerfile: Dockerfile.ml }${service === '' ? '' : `, ${service}`} } }`;
}

/** A folder with these files, gone after the test. */
export function makeProject(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'deploy-check-test-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return root;
}

/** A Dockerfile whose image is IMAGE. */
export const DOCKERFILE = `
FROM node:24 AS build
RUN npm run build
FROM gcr.io/distroless/nodejs24-debian13:nonroot AS cpu
COPY --from=build /app /app
WORKDIR /app
ENV NODE_ENV=production PORT=8080
USER 65532:65532
EXPOSE 8080
CMD ["dist/server.js"]
`;
