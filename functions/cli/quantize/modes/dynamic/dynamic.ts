import { createNames, graphsOf, outputNames } from '../../../../onnx/edit/graphs.ts';
import type { NodeProto } from '../../../../onnx/proto/onnx_pb.ts';
import type { Mode } from '../../mode.ts';
import { createReportBuilder, refusing } from '../../report.ts';
import { rewriteGraphs } from '../../rewrite-graphs.ts';
import { raiseIrVersion, raiseOpset, refuseQuantized, useContribOperators } from '../../versions.ts';
import { createWeightFinder } from '../../weight-finder.ts';
import { createContext, type GraphContext, type Rewrite } from './context.ts';
import { rewriteAttention, rewriteGru, rewriteLstm } from './fused.ts';
import { rewriteGather, rewriteTranspose } from './lookups.ts';
import { rewriteConvolution, rewriteProduct } from './products.ts';
import { createQuantizedWeights, type WeightOptions } from './quantized-weights.ts';

/** The operators of onnxruntime's `quantize_dynamic`, by domain and name. */
const REWRITES: Readonly<Record<string, Rewrite>> = {
  Conv: rewriteConvolution,
  GRU: rewriteGru,
  Gather: rewriteGather,
  Gemm: rewriteProduct,
  LSTM: rewriteLstm,
  MatMul: rewriteProduct,
  Transpose: rewriteTranspose,
  'com.microsoft.Attention': rewriteAttention,
};
/** The operator set with DynamicQuantizeLinear. */
const OPSET = 11;

/**
 * Weights as int8, and values quantized in each run by the range that they have then: the operators, the names and the scales of
 * onnxruntime's `quantize_dynamic`. Rows of a run share the range.
 */
export function createDynamicMode(options: WeightOptions): Mode {
  return {
    name: 'dynamic',
    async run(model, { isSelected, signal }, progress) {
      refuseQuantized(model);
      const report = createReportBuilder();
      report.note(raiseIrVersion(model));
      report.note(raiseOpset(model, OPSET, 'DynamicQuantizeLinear'));
      const finder = createWeightFinder();
      const names = createNames(model.proto);
      const weights = createQuantizedWeights(model, names, options);

      await rewriteGraphs(model, signal, progress, (scope, into) => {
        const context = createContext({ names, weights, weightOf: finder.reader(scope) }, into);
        return async (node) => {
          if (node === undefined) for (const output of outputNames(scope)) context.dequantize(output);
          else await rewrite(node, context);
        };
      });
      report.note(finder.removeUnused(model));
      if (report.hasChanged('QAttention', 'DynamicQuantizeLSTM')) useContribOperators(model);
      return report.finish(model);

      async function rewrite(node: NodeProto, context: GraphContext): Promise<void> {
        const known =
          REWRITES[node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}.${node.opType}`];
        const rewritten = known !== undefined && isSelected(node) ? await refusing(known(node, context)) : undefined;
        if (rewritten !== undefined) report.add(node, rewritten);
        if (rewritten !== undefined && 'by' in rewritten) return;
        for (const value of valuesReadBy(node)) context.dequantize(value);
        context.add(node);
      }
    },
  };
}

/** In its own graph, and by the nodes and outputs of those inside it. */
function* valuesReadBy(node: NodeProto): Generator<string> {
  yield* node.input;
  for (const graph of graphsOf(node)) {
    for (const { name } of graph.output) yield name;
    for (const inner of graph.node) yield* valuesReadBy(inner);
  }
}
