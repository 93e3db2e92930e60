import { ServingError } from '../../errors.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { NodeProto } from '../../onnx/proto/onnx_pb.ts';
import { shorten } from '../../shorten.ts';
import type { ModeReport } from './mode.ts';

/** Collects the report of a mode. */
export interface ReportBuilder {
  add(node: NodeProto, result: { readonly by: string } | { readonly reason: string }): void;
  /** Adds a sentence, if there is one. */
  note(sentence: string | undefined): void;
  /** Whether a node became one of these operators. */
  hasChanged(...operators: readonly string[]): boolean;
  /** @throws ServingError `INVALID_INPUT` if no node was changed, with the reasons */
  finish(model: EditableModel): ModeReport;
}

/** Creates an empty report. */
export function createReportBuilder(): ReportBuilder {
  const changed: ModeReport['changed'][number][] = [];
  const kept: ModeReport['kept'][number][] = [];
  const notes: string[] = [];
  return {
    add({ name, opType }, result) {
      const node = { name, operator: opType };
      if ('by' in result) changed.push({ ...node, by: result.by });
      else kept.push({ ...node, reason: result.reason });
    },
    note(sentence) {
      if (sentence !== undefined) notes.push(sentence);
    },
    hasChanged: (...operators) => changed.some(({ by }) => operators.includes(by)),
    finish({ path }) {
      if (changed.length > 0) return { changed, kept, notes };
      const [first] = kept;
      const why =
        first === undefined
          ? 'none of the selected nodes is one that this mode changes'
          : `${first.operator} ${shorten(first.name)}: ${first.reason}${kept.length > 1 ? `, and ${kept.length - 1} more` : ''}`;
      throw new ServingError('INVALID_INPUT', `${path}: there is nothing to quantize: ${why}`);
    },
  };
}

/** The result of a rewrite whose weight may have elements that cannot be quantized, which is then a reason. */
export async function refusing<T>(result: Promise<T>): Promise<T | { readonly reason: string }> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof RangeError) return { reason: `of its weight, ${error.message}` };
    throw error;
  }
}
