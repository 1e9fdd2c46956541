/** What a session is run with. */
import type * as ort from 'onnxruntime-node';

/** Input name -> tensor. */
export type Feeds = Readonly<Record<string, ort.Tensor>>;
