import { SETTINGS } from '../../../functions/config/settings.ts';
import type { Container, Rule } from '../containers.ts';
import { DOCKERFILE, type Image } from '../image.ts';
import type { Finding } from '../yaml.ts';

/** Variables other than settings that the image's programs read, and their readers. */
export const READ_BY_OTHERS: Readonly<Record<string, string>> = {
  NODE_ENV: 'libraries take their production paths by it',
  NODE_EXTRA_CA_CERTS: 'Node: the certificate authority of a rediss:// URL',
  MALLOC_MMAP_THRESHOLD_: 'glibc: blocks from this size on return to the system when they are freed',
  NODE_OPTIONS: 'Node: its flags',
  NODE_COMPILE_CACHE: 'Node: the folder of compiled code',
  HOME: "Google's client libraries: credentials of gcloud below it",
  ORT_DISABLE_TELEMETRY: 'onnxruntime: it sends no telemetry',
  GOOGLE_APPLICATION_CREDENTIALS: "Google's client libraries: the key of a service account",
  STORAGE_EMULATOR_HOST: "Google's client of Cloud Storage: an emulator in place of the service",
  LD_LIBRARY_PATH: 'the dynamic linker: the folders of the libraries of CUDA',
  NVIDIA_VISIBLE_DEVICES: 'the container runtime of NVIDIA: the GPUs that are visible',
  NVIDIA_DRIVER_CAPABILITIES: 'the container runtime of NVIDIA: the libraries of the driver that are mounted',
};

/** Cloud Run sets these itself, and refuses a service that sets them. */
const SET_BY_CLOUD_RUN = new Set(['PORT', 'K_SERVICE', 'K_REVISION', 'K_CONFIGURATION']);

/** Rule: every variable of our image is a setting of functions/config/settings.ts, with a valid value. */
export const checkEnvironment: Rule = ({ containers }) => containers.filter(({ ours }) => ours).flatMap(checkContainer);

/** The variables that the Dockerfile sets in the image. */
export function checkImageEnvironment({ stages }: Image): Finding[] {
  return stages.flatMap(({ name: stage, line, env }) =>
    env.flatMap(([name, value]) => {
      const problem = problemOf(name, value.includes('$') ? undefined : value);
      return problem === undefined ? [] : [{ file: DOCKERFILE, line, place: `stage ${stage}: ENV`, problem }];
    }),
  );
}

function checkContainer({ platform, node, env }: Container): Finding[] {
  const findings: Finding[] = [];
  for (const { name, value, node: at } of env) {
    const problem = problemOf(name, value);
    if (problem !== undefined) findings.push(at.finding(problem));
    if (platform === 'cloud-run' && SET_BY_CLOUD_RUN.has(name))
      findings.push(at.finding(`${name} is set by Cloud Run, which refuses it here`));
  }
  const files = node.at('env_file');
  if (files.given) findings.push(files.finding('its variables cannot be checked: name them under environment'));
  return findings;
}

function problemOf(name: string, value: string | undefined): string | undefined {
  if (Object.hasOwn(READ_BY_OTHERS, name)) return undefined;
  if (!Object.hasOwn(SETTINGS, name)) return `${name} is no setting of functions/config/settings.ts: nothing reads it`;
  const { schema, takes, default: fallback } = SETTINGS[name as keyof typeof SETTINGS];
  if (value === undefined || schema.safeParse(value.trim() || fallback).success) return undefined;
  return `${name}=${JSON.stringify(value)} is not usable: it takes ${takes}`;
}
