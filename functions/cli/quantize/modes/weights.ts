import { createNames } from '../../../onnx/edit/graphs.ts';
import { node as createNode } from '../../../onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../../../onnx/proto/onnx_pb.ts';
import { productOf } from '../gemm.ts';
import { type BlockOptions, quantizeBlocks } from '../kernels/blockwise.ts';
import type { Mode } from '../mode.ts';
import { createReportBuilder, refusing } from '../report.ts';
import { rewriteGraphs } from '../rewrite-graphs.ts';
import { raiseIrVersion, refuseQuantized, useContribOperators } from '../versions.ts';
import { createWeightFinder } from '../weight-finder.ts';
import { addInitializer, readStored, type Weight } from '../weights.ts';

export interface BlockWeightOptions extends BlockOptions {
  /** The attribute `accuracy_level` of MatMulNBits: 4 multiplies with int8 values of each row. Undefined: onnxruntime's own choice. */
  readonly accuracyLevel?: number | undefined;
}

const FLOAT_BYTES = 4;

/**
 * The weights of MatMul and Gemm in blocks of integers with a scale each, and values as floats: the operator MatMulNBits, with the names
 * and the scales of onnxruntime's `MatMulNBitsQuantizer`. Of a Gemm, the bias is added after it.
 */
export function createWeightsMode(options: BlockWeightOptions): Mode {
  const { bits, blockSize, accuracyLevel } = options;
  return {
    name: 'weights',
    async run(model, { isSelected, signal }, progress) {
      refuseQuantized(model);
      const report = createReportBuilder();
      report.note(raiseIrVersion(model));
      const finder = createWeightFinder();
      const names = createNames(model.proto);
      const packed = new Map<TensorProto, Map<boolean, Promise<string[]>>>();

      await rewriteGraphs(model, signal, progress, (scope, into) => {
        const weightOf = finder.reader(scope);
        return async (node) => {
          if (node === undefined) return;
          if (!isProduct(node) || !isSelected(node)) return void into.push(node);
          const replaced = await refusing(replace(node, weightOf(node, 1)));
          report.add(node, 'reason' in replaced ? replaced : { by: 'MatMulNBits' });
          into.push(...('reason' in replaced ? [node] : replaced));
        };
      });
      report.note(finder.removeUnused(model));
      useContribOperators(model);
      return report.finish(model);

      async function replace(node: NodeProto, weight: Weight | string): Promise<NodeProto[] | { reason: string }> {
        if (typeof weight === 'string') return { reason: weight };
        const product = productOf(node, weight, names);
        if (typeof product === 'string') return { reason: product };
        const { dims, name } = product.weight;
        const [k = 0, n = 0] = dims;
        if (dims.length !== 2) return { reason: `its weight ${name} has ${dims.length} axes, and MatMulNBits takes 2` };
        if (!isSmaller(k)) return { reason: `its weight ${name} is too small for blocks of ${blockSize}` };
        const inputs = await pack(product.weight);
        const attributes = {
          K: BigInt(k),
          N: BigInt(n),
          bits: BigInt(bits),
          block_size: BigInt(blockSize),
          ...(accuracyLevel !== undefined && { accuracy_level: BigInt(accuracyLevel) }),
        };
        const named = { name: product.name === '' ? '' : names(`${product.name}_Q${bits}`), domain: 'com.microsoft' };
        const made = createNode('MatMulNBits', [product.input, ...inputs], [product.output], attributes, named);
        return product.bias === undefined ? [made] : [made, product.bias];
      }

      /** Packs a weight once. @returns the names of the inputs of MatMulNBits */
      function pack(weight: Weight): Promise<string[]> {
        const forms = packed.get(weight.tensor) ?? new Map<boolean, Promise<string[]>>();
        packed.set(weight.tensor, forms);
        const made = forms.get(weight.isTransposed) ?? packNew(weight);
        forms.set(weight.isTransposed, made);
        return made;
      }

      async function packNew(weight: Weight): Promise<string[]> {
        const { graph, name, isTransposed } = weight;
        const [k, n] = weight.dims as [number, number];
        const { data, scales, zeroPoints } = quantizeBlocks(
          await readStored(model, weight),
          { k, n, isTransposed },
          options,
        );
        const blockBytes = (blockSize * bits) / 8;
        const blocks = Math.ceil(k / blockSize);
        return [
          addInitializer(graph, names(`${name}_Q${bits}`), 'uint8', [n, blocks, blockBytes], data),
          addInitializer(graph, names(`${name}_scales`), 'float32', [scales.length], scales),
          ...(zeroPoints === undefined
            ? []
            : [addInitializer(graph, names(`${name}_zero_points`), 'uint8', [zeroPoints.length], zeroPoints)]),
        ];
      }
    },
  };

  /** Whether a column of `k` elements takes fewer bytes in blocks, the last of which is padded. */
  function isSmaller(k: number): boolean {
    const blocks = Math.ceil(k / blockSize);
    return blocks * ((blockSize * bits) / 8 + FLOAT_BYTES + 1) < k * FLOAT_BYTES;
  }
}

const isProduct = ({ opType, domain }: NodeProto): boolean =>
  (opType === 'MatMul' || opType === 'Gemm') && (domain === '' || domain === 'ai.onnx');
