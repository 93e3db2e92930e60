import { el } from '../dom.ts';

/** What a camera on the page gives. */
interface CameraEvents {
  /** A picture was taken: a JPEG. */
  onPicture(file: File): void;
  /** Why there is none, for people; empty when it is opened again. */
  onProblem(words: string): void;
}

const QUALITY = 0.92;

/** By the names of exceptions (Media Capture and Streams, 10.1.1). */
const WORDS: Readonly<Record<string, string>> = {
  NotAllowedError: 'The browser does not allow this page the camera. Allow it in the settings of this site.',
  NotFoundError: 'This device has no camera.',
  NotReadableError: 'The camera cannot be opened. Another program may use it.',
};

/** Closes the camera of the page, if it is open. */
export let closeCamera: () => void = () => {};

/** Creates a button that opens the camera and, below it, its picture; undefined where the browser gives pages no camera, as without TLS. */
export function createCamera({
  onPicture,
  onProblem,
}: CameraEvents): { button: HTMLElement; box: HTMLElement } | undefined {
  // Undefined without TLS, whatever the types say.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices?.getUserMedia === undefined) return undefined;
  const button = el('button', { type: 'button' }, 'Use the camera');
  const video = el('video', { 'aria-label': 'The camera', playsinline: true, autoplay: true });
  const take = el('button', { type: 'button', class: 'main' }, 'Take the picture');
  const close = el('button', { type: 'button' }, 'Close the camera');
  const box = el('div', { class: 'camera' }, video, el('div', { class: 'buttons' }, take, close));
  video.muted = true;
  box.hidden = true;

  function stop(): void {
    for (const track of (video.srcObject as MediaStream | null)?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    box.hidden = true;
    button.hidden = false;
  }

  async function open(from: MediaDevices): Promise<void> {
    onProblem('');
    try {
      const stream = await from.getUserMedia({ video: { facingMode: 'environment' } });
      // Another model may have been chosen while the browser asked.
      if (!box.isConnected || !box.hidden) return stream.getTracks().forEach((track) => void track.stop());
      video.srcObject = stream;
      take.disabled = true;
      box.hidden = false;
      button.hidden = true;
      close.focus();
    } catch (error) {
      const { name, message } = error as DOMException;
      onProblem(WORDS[name] ?? `The camera cannot be used: ${message}`);
    }
  }

  function capture(): void {
    const canvas = el('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d')?.drawImage(video, 0, 0);
    stop();
    button.focus();
    canvas.toBlob(
      (blob) => {
        if (blob === null) onProblem('The browser made no JPEG of the picture.');
        else onPicture(new File([blob], 'camera.jpg', { type: 'image/jpeg' }));
      },
      'image/jpeg',
      QUALITY,
    );
  }

  video.addEventListener('loadeddata', () => {
    take.disabled = false;
    take.focus();
  });
  button.addEventListener('click', () => void open(devices));
  take.addEventListener('click', capture);
  close.addEventListener('click', () => {
    stop();
    button.focus();
  });
  closeCamera = stop;
  return { button, box };
}
