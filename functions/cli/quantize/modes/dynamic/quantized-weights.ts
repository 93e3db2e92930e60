import type { EditableModel } from '../../../../onnx/edit/open-model.ts';
import type { TensorProto } from '../../../../onnx/proto/onnx_pb.ts';
import { channelsOf, oneChannel, quantizeChannels } from '../../kernels/linear.ts';
import { transposeMatrices } from '../../kernels/transpose.ts';
import { addInitializer, inOrder, readStored, type Weight } from '../../weights.ts';
import type { Names, QuantizedValue } from './quantized-value.ts';

/** Quantizes weights, each once however many nodes read it. */
export interface QuantizedWeights {
  /** @param axis of the channels; undefined: one scale for the tensor */
  linear(weight: Weight, axis?: number): Promise<QuantizedValue>;
  /** A weight [directions, 4 * hidden, inputs] of an LSTM, as DynamicQuantizeLSTM takes it: [directions, inputs, 4 * hidden]. */
  ofLstm(weight: Weight): Promise<QuantizedValue>;
}

export interface WeightOptions {
  /** Whether each channel has a scale. */
  readonly isPerChannel: boolean;
  /** 7 bits, see `LinearOptions`. */
  readonly isReduced: boolean;
}

/** Creates the quantizer of a model's weights, as int8 around 0. The initializers that it adds are beside those that they replace. */
export function createQuantizedWeights(
  model: EditableModel,
  names: Names,
  { isPerChannel, isReduced }: WeightOptions,
): QuantizedWeights {
  const done = new Map<TensorProto, Map<string, Promise<QuantizedValue>>>();
  const options = { isSymmetric: true, isReduced };

  function once(weight: Weight, form: string, make: () => Promise<QuantizedValue>): Promise<QuantizedValue> {
    const forms = done.get(weight.tensor) ?? new Map<string, Promise<QuantizedValue>>();
    done.set(weight.tensor, forms);
    const made = forms.get(form) ?? make();
    forms.set(form, made);
    return made;
  }

  function add(
    weight: Weight,
    dims: readonly number[],
    scaleDims: readonly number[],
    tensor: ReturnType<typeof quantizeChannels>,
  ) {
    const { graph, name } = weight;
    return {
      quantized: addInitializer(graph, names(`${name}_quantized`), 'int8', dims, tensor.data),
      scale: addInitializer(graph, names(`${name}_scale`), 'float32', scaleDims, tensor.scales),
      zeroPoint: addInitializer(graph, names(`${name}_zero_point`), 'int8', scaleDims, tensor.zeroPoints),
    };
  }

  return {
    linear(weight, axis) {
      const { dims, isTransposed } = weight;
      const at = isPerChannel && axis !== undefined ? (axis + dims.length) % dims.length : undefined;
      return once(weight, `${at} ${isTransposed}`, async () => {
        const values = await readStored(model, weight);
        const storedDims = isTransposed ? dims.toReversed() : dims;
        const storedAxis = at !== undefined && isTransposed ? 1 - at : at;
        const channels = storedAxis === undefined ? oneChannel(values) : channelsOf(storedDims, storedAxis);
        const tensor = quantizeChannels(values, channels, 'int8', options);
        return add(weight, dims, at === undefined ? [] : [dims[at]!], {
          ...tensor,
          data: inOrder(weight, tensor.data),
        });
      });
    },
    ofLstm(weight) {
      return once(weight, 'lstm', async () => {
        const [directions, units, inputs] = weight.dims as [number, number, number];
        const values = await readStored(model, weight);
        const scaleDims = isPerChannel ? [directions, units] : [directions];
        const channels = { outer: 1, channels: isPerChannel ? directions * units : directions, inner: 0 };
        const inner = values.length / channels.channels;
        const tensor = quantizeChannels(values, { ...channels, inner }, 'int8', options);
        const data = transposeMatrices(tensor.data, directions, units, inputs);
        return add(weight, [directions, inputs, units], scaleDims, { ...tensor, data });
      });
    },
  };
}
