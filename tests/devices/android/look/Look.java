package dev.edgepipeline.core.look;

import java.io.File;
import java.nio.file.Files;
import java.util.Arrays;

/** Says of each file of a folder, by name: "accepted", or "refused".  Look FOLDER */
final class Look {
    public static void main(String[] arguments) throws Exception {
        File[] files = new File(arguments[0]).listFiles();
        Arrays.sort(files);
        for (File file : files) {
            byte[] content = Files.readAllBytes(file.toPath());
            Bytes bytes = new Bytes(content, 0, content.length);
            System.out.println(file.getName() + " " + (isTaken(file, bytes) ? "accepted" : "refused"));
        }
    }

    private static boolean isTaken(File file, Bytes bytes) {
        try {
            if (file.getName().endsWith(".onnx")) OnnxLookKt.lookAtOnnx(bytes);
            else TorchLookKt.lookAtTorchScript(bytes);
            return true;
        } catch (RuntimeException error) { // a crash is no refusal
            throw error;
        } catch (Exception refusal) {
            return false;
        }
    }
}
