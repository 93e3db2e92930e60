/** A `.npy` file as numpy writes it. */
export function npy(header: string, data: Uint8Array, major = 1): Uint8Array {
  const padded = `${header}\n`;
  const size = major === 1 ? 2 : 4;
  const bytes = new Uint8Array(8 + size + padded.length + data.length);
  bytes.set([0x93, ...Buffer.from('NUMPY'), major, 0]);
  const view = new DataView(bytes.buffer);
  if (major === 1) view.setUint16(8, padded.length, true);
  else view.setUint32(8, padded.length, true);
  bytes.set(Buffer.from(padded, 'latin1'), 8 + size);
  bytes.set(data, 8 + size + padded.length);
  return bytes;
}

/** The header of a file. @param descr numpy's name of the dtype. @param shape a tuple of Python. */
export const header = (descr: string, shape: string, isFortran = false): string =>
  `{'descr': '${descr}', 'fortran_order': ${isFortran ? 'True' : 'False'}, 'shape': ${shape}, }`;
