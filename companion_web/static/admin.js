// Times on the admins' page in the reader's own zone.

import { localise } from "./times.js";

localise(document);
