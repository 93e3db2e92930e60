import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The files of a folder that its `.gcloudignore`, or another file of such rules in it, leaves, as paths from it, in order. Git matches them, by rules that gcloud shares:
 * as a repository that has none of them yet, and no rules but these.
 */
export function filesForUpload(root: string, rules = '.gcloudignore'): string[] {
  const repository = mkdtempSync(join(tmpdir(), 'upload-'));
  try {
    execFileSync('git', ['init', '--quiet', '--bare', repository]);
    const args = [`--git-dir=${repository}`, `--work-tree=${root}`, 'ls-files', '--others', '-z'];
    const written = execFileSync('git', [...args, `--exclude-from=${rules}`], { cwd: root, encoding: 'utf8' });
    return written.split('\0').slice(0, -1).sort();
  } finally {
    rmSync(repository, { recursive: true });
  }
}
