import { type Connection, connect } from '../../../functions/cli/loadtest/http/connection.ts';

/** A response; `status` is 0 if the connection ended first. */
export interface Reply {
  readonly status: number;
  /** Seconds of `Retry-After`; NaN without it. */
  readonly retryAfter: number;
  readonly text: string;
}

/** One keep-alive connection, which is opened again when the server has closed it. One request at a time. */
export interface Client {
  send(request: Buffer): Promise<Reply>;
  /** Closes the connection; a request in flight gets status 0. */
  destroy(): void;
}

const NONE: Reply = { status: 0, retryAfter: Number.NaN, text: '' };

export function createClient(port: number): Client {
  let connection: Connection | undefined;
  let settle: ((reply: Reply) => void) | undefined;
  let text = '';

  function finish(reply: Reply): void {
    const done = settle;
    settle = undefined;
    done?.(reply);
  }

  function open(): Connection {
    const opened = connect(
      { port },
      {
        onBody(bytes, from, to) {
          text += bytes.toString('latin1', from, to);
        },
        onResponse(status, close, retryAfter) {
          const reply = { status, retryAfter, text };
          if (close) {
            connection = undefined;
            opened.destroy();
          }
          finish(reply);
        },
        onClose() {
          if (connection !== opened) return;
          connection = undefined;
          finish(NONE);
        },
      },
    );
    return opened;
  }

  return {
    send(request) {
      return new Promise((resolve) => {
        settle = resolve;
        text = '';
        connection ??= open();
        connection.send(request);
      });
    },
    destroy() {
      const closed = connection;
      connection = undefined;
      closed?.destroy();
      finish(NONE);
    },
  };
}
