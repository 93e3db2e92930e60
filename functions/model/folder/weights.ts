import { posix } from 'node:path';
import { ServingError } from '../../errors.ts';
import { shorten } from '../../shorten.ts';

/**
 * The paths of a model's weights below the model's folder, each once.
 * @param file the path of the model's file below that folder
 * @param external the locations that the file has, relative to the file's folder
 * @param place the display name of the file, for errors
 * @throws ServingError `MODEL_FAILED` for a path that leads out of the file's folder: a model must not read other files
 */
export function weightPaths(file: string, external: readonly string[], place: string): string[] {
  const paths = external.map((location) => posix.join(posix.dirname(file), safe(location, place)));
  return [...new Set(paths)];
}

function safe(location: string, place: string): string {
  const normal = posix.normalize(location);
  const shown = JSON.stringify(shorten(location));
  const how = "put it into the model's folder, and save the model with that location (onnx.save_model: location)";
  const refused = (what: string): ServingError =>
    new ServingError('MODEL_FAILED', `${place}: its external data is at ${shown}, ${what}: ${how}`);
  if (/^([\\/]|[A-Za-z]:)/.test(location)) throw refused('which is an absolute path');
  if (normal.split('/')[0] === '..') throw refused("which is outside of the model's folder");
  if (location === '' || location.includes('\0') || normal === '.') throw refused('which is not the path of a file');
  return normal;
}
