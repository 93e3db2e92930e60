import { readFileSync } from 'node:fs';
import { arch, cpus } from 'node:os';
import { describeRuntime } from '../../engine/process/runtime.ts';

/** What a compiled model depends on beside the model itself. */
export interface Machine {
  /** The version of onnxruntime-node, and its native files by their sizes. */
  readonly runtime: string;
  /** The architecture, and the features of the CPU by which onnxruntime chooses its kernels. */
  readonly cpu: string;
}

/** Instructions for vectors and matrices: those that MLAS, the kernels of onnxruntime, asks for on x86-64. */
const VECTOR_FLAGS = /^(ssse3|sse4_1|f16c|fma|avx|amx)|vnni|bf16/;

/** Describes this machine. @param root the folder of `proc`, for tests */
export function describeMachine(root = '/'): Machine {
  return { runtime: describeRuntime(), cpu: `${arch()}: ${featuresOf(root)}` };
}

/** The vector flags of x86-64; on arm64 all features, and the makers and parts, since kernels are chosen by those too. */
function featuresOf(root: string): string {
  let text: string;
  try {
    text = readFileSync(`${root}/proc/cpuinfo`, 'latin1');
  } catch {
    return cpus()[0]?.model ?? 'unknown';
  }
  const found = new Set<string>();
  for (const [, name, value] of text.matchAll(/^(flags|Features|CPU implementer|CPU part)\s*: (.*)$/gm)) {
    if (name!.startsWith('CPU')) found.add(`${name} ${value}`);
    else for (const flag of value!.split(' ')) if (name === 'Features' || VECTOR_FLAGS.test(flag)) found.add(flag);
  }
  return [...found].sort().join(' ');
}
