"""Generated pictures with captions: ``Scenes`` reads them, ``picture`` draws one, ``truth`` checks a caption."""

from seq2seq.data.builtin.scenes.captions import truth
from seq2seq.data.builtin.scenes.reader import Scenes, picture
from seq2seq.data.builtin.scenes.scene import PREFIX, Scene

__all__ = ["PREFIX", "Scene", "Scenes", "picture", "truth"]
