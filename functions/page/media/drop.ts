/** Calls `onFile` with the first file that is dropped on an element, which has the class `over` while one is above it. */
export function listenForDrops(zone: HTMLElement, onFile: (file: File) => void): void {
  for (const event of ['dragenter', 'dragover']) {
    zone.addEventListener(event, (dragged) => {
      dragged.preventDefault();
      zone.classList.add('over');
    });
  }
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', (dropped) => {
    dropped.preventDefault();
    zone.classList.remove('over');
    const file = dropped.dataTransfer?.files[0];
    if (file !== undefined) onFile(file);
  });
}
